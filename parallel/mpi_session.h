#pragma once
/// The one MPI_Init and MPI_Finalize of a process. A main builds it first and lets it go last.
namespace stoa::parallel {

class MpiSession {
 public:
  /// ConfigError when the MPI library cannot be called from more than the main thread, or was started before.
  MpiSession();
  /// MPI_Finalize, which waits for all ranks. While an exception is under way the others may never come, so then the
  /// job is aborted instead: a main catches what its ranks throw and calls abort() with the right code.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  /// Ends all ranks of the job; mpirun returns this code.
  [[noreturn]] void abort(int exit_code);

 private:
  int uncaught_at_start_;
};

}  // namespace stoa::parallel

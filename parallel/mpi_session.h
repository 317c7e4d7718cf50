#pragma once
/// The one MPI_Init and MPI_Finalize of a process. A main builds it first and lets it go last.
namespace stoa::parallel {

class MpiSession {
 public:
  /// MPI waits without end for ranks that never come or that died unseen while the job was put together: a process that
  /// waits longer than deadline_s, in MPI_Init or in MPI_Finalize, says so and ends with the exit code of CommError.
  /// ConfigError when the MPI library cannot be called by several threads at once (MPI_THREAD_MULTIPLE), or was started
  /// before.
  explicit MpiSession(double deadline_s = 600);
  /// MPI_Finalize, which waits for all ranks. While an exception is under way the others may never come, so then the
  /// job is aborted instead: a main catches what its ranks throw and calls abort() with the right code.
  ~MpiSession();
  MpiSession(const MpiSession&) = delete;
  MpiSession& operator=(const MpiSession&) = delete;

  /// Ends all ranks of the job; mpirun returns this code.
  [[noreturn]] void abort(int exit_code);

 private:
  double deadline_s_;
  int uncaught_at_start_;
};

}  // namespace stoa::parallel

#include "stoa/parallel/mpi_session.h"

#include <mpi.h>

#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>

#include "stoa/base/error.h"

namespace stoa::parallel {
namespace {

/// While it lives, the process may wait for the other ranks for so long and no longer. A thread, because nothing else
/// of a process inside MPI_Init comes to run.
class WaitLimit {
 public:
  WaitLimit(const char* call, double deadline_s) : thread_([this, call, deadline_s] { watch(call, deadline_s); }) {}
  ~WaitLimit() {
    {
      const std::scoped_lock lock(mutex_);
      over_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

 private:
  void watch(const char* call, double deadline_s) {
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, std::chrono::duration<double>(deadline_s), [this] { return over_; })) return;
    fmt::print(stderr, "stoa-train: error: {} waited {} s for the other ranks: one never came, or died unseen\n", call,
               deadline_s);
    std::_Exit(exit_code(ErrorKind::kComm));
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool over_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace

MpiSession::MpiSession(double deadline_s) : deadline_s_(deadline_s), uncaught_at_start_(std::uncaught_exceptions()) {
  int started = 0;
  MPI_Initialized(&started);
  if (started != 0) throw ConfigError("MPI was started before in this process; there is one MPI session a process");
  const WaitLimit limit("MPI_Init", deadline_s);
  int level = MPI_THREAD_SINGLE;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_MULTIPLE, &level) != MPI_SUCCESS)
    throw CommError("MPI_Init_thread failed: start the ranks with mpirun or srun --mpi=pmix");
  if (level < MPI_THREAD_MULTIPLE) {
    MPI_Finalize();
    throw ConfigError(
        "this MPI library allows thread level {} but Stoa needs {} (MPI_THREAD_MULTIPLE), because it communicates "
        "while "
        "it computes: use a library built for it",
        level, MPI_THREAD_MULTIPLE);
  }
  // Failures come back as codes and are thrown, so that the message can name the collective.
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
}

MpiSession::~MpiSession() {
  if (std::uncaught_exceptions() > uncaught_at_start_) abort(exit_code(ErrorKind::kInternal));
  const WaitLimit limit("MPI_Finalize", deadline_s_);
  MPI_Finalize();
}

void MpiSession::abort(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

}  // namespace stoa::parallel

#include "stoa/parallel/mpi_session.h"

#include <mpi.h>

#include <cstdlib>
#include <exception>

#include "stoa/base/error.h"

namespace stoa::parallel {

MpiSession::MpiSession() : uncaught_at_start_(std::uncaught_exceptions()) {
  int started = 0;
  MPI_Initialized(&started);
  if (started != 0) throw ConfigError("MPI was started before in this process; there is one MPI session a process");
  int level = MPI_THREAD_SINGLE;
  if (MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &level) != MPI_SUCCESS)
    throw CommError("MPI_Init_thread failed: start the ranks with mpirun or srun --mpi=pmix");
  if (level < MPI_THREAD_SERIALIZED) {
    MPI_Finalize();
    throw ConfigError("this MPI library allows thread level {} but Stoa needs {} (MPI_THREAD_SERIALIZED)", level,
                      MPI_THREAD_SERIALIZED);
  }
  // Failures come back as codes and are thrown, so that the message can name the collective.
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
}

MpiSession::~MpiSession() {
  if (std::uncaught_exceptions() > uncaught_at_start_) abort(exit_code(ErrorKind::kInternal));
  MPI_Finalize();
}

void MpiSession::abort(int exit_code) {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

}  // namespace stoa::parallel

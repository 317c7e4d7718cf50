#pragma once
/// Where this rank stands in its MPI job, and communicators made from the job's. MPI has no calls for these that can be
/// polled in all libraries, so a rank waits in them on another thread (call_until): CommError when the deadline passes.
/// All are collective; the communicators are the caller's. Open MPI 4 makes 65532 of them in a process (measured).
#include <mpi.h>

#include <chrono>

namespace stoa::parallel {

/// Throws CommError where an MPI call did not succeed.
void check_mpi(int code, const char* call);

int rank_in(MPI_Comm communicator);
int size_of(MPI_Comm communicator);

/// A rank among those whose memory MPI says it can share.
struct PlaceOnNode {
  int rank = 0;
  int ranks = 1;
  int first_of_job = 0;  ///< the rank in the job of the first of them
};

MPI_Comm duplicate_of_job(std::chrono::steady_clock::time_point deadline);
PlaceOnNode place_on_node(std::chrono::steady_clock::time_point deadline);
/// As MPI_Comm_split, in the order of their ranks; MPI_COMM_NULL for the colour MPI_UNDEFINED.
MPI_Comm split_of(MPI_Comm communicator, int colour, std::chrono::steady_clock::time_point deadline);

}  // namespace stoa::parallel

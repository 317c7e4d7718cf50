#include "stoa/parallel/mpi_parts.h"

#include <array>
#include <string>

#include "stoa/base/error.h"
#include "stoa/parallel/call_until.h"

namespace stoa::parallel {

void check_mpi(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw CommError("{}: {}", call, std::string(text.data(), static_cast<std::size_t>(length)));
}

int rank_in(MPI_Comm communicator) {
  int rank = 0;
  MPI_Comm_rank(communicator, &rank);
  return rank;
}

int size_of(MPI_Comm communicator) {
  int size = 1;
  MPI_Comm_size(communicator, &size);
  return size;
}

MPI_Comm duplicate_of_job(std::chrono::steady_clock::time_point deadline) {
  return call_until(deadline, "MPI_Comm_dup", [] {
    MPI_Comm communicator = MPI_COMM_NULL;
    check_mpi(MPI_Comm_dup(MPI_COMM_WORLD, &communicator), "MPI_Comm_dup");
    return communicator;
  });
}

PlaceOnNode place_on_node(std::chrono::steady_clock::time_point deadline) {
  return call_until(deadline, "MPI_Comm_split_type", [] {
    MPI_Comm node = MPI_COMM_NULL;
    const int rank = rank_in(MPI_COMM_WORLD);
    check_mpi(MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node),
              "MPI_Comm_split_type");
    PlaceOnNode place{.rank = rank_in(node), .ranks = size_of(node), .first_of_job = rank};
    check_mpi(MPI_Bcast(&place.first_of_job, 1, MPI_INT, 0, node), "MPI_Bcast");
    MPI_Comm_free(&node);
    return place;
  });
}

MPI_Comm split_of(MPI_Comm communicator, int colour, std::chrono::steady_clock::time_point deadline) {
  return call_until(deadline, "MPI_Comm_split", [=] {
    MPI_Comm part = MPI_COMM_NULL;
    check_mpi(MPI_Comm_split(communicator, colour, rank_in(communicator), &part), "MPI_Comm_split");
    return part;
  });
}

}  // namespace stoa::parallel

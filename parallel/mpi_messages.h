#pragma once
/// Collectives as MPI messages, for ranks on several nodes. Nonblocking MPI calls are polled until the deadline. All
/// data passes through buffers that this object owns, in bounded chunks: a transfer that a failed call left under way
/// never touches the caller's memory, and after a failure the buffers are kept for the rest of the process.
#include <mpi.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "stoa/parallel/communicator.h"

namespace stoa::parallel {

class MpiMessages {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Collective: its own duplicate of the communicator.
  explicit MpiMessages(MPI_Comm communicator);
  ~MpiMessages();
  MpiMessages(const MpiMessages&) = delete;
  MpiMessages& operator=(const MpiMessages&) = delete;

  int rank() const { return rank_; }
  int size() const { return size_; }

  void barrier(TimePoint deadline);
  template <typename T>
  void all_reduce(std::span<T> values, ReduceOp op, TimePoint deadline);
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all, TimePoint deadline);
  void broadcast(std::span<std::byte> bytes, int root, TimePoint deadline);

 private:
  struct Buffers {
    std::vector<std::byte> sending;
    std::vector<std::byte> received;
    /// Bytes and places of the parts that each rank sends and gets. MPI reads them until a call has ended.
    std::vector<int> counts, places, counts_of_mine, places_of_mine;
  };

  template <typename T>
  void reduce_chunk(std::span<T> values, ReduceOp op, TimePoint deadline);
  template <typename T>
  void reduce_small(std::span<T> values, ReduceOp op, TimePoint deadline);
  void await(MPI_Request request, TimePoint deadline);

  MPI_Comm communicator_ = MPI_COMM_NULL;
  int rank_ = 0;
  int size_ = 1;
  std::unique_ptr<Buffers> buffers_;
  bool failed_ = false;
};

}  // namespace stoa::parallel

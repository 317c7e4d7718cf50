#include "stoa/parallel/mpi_messages.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

#include "stoa/base/error.h"
#include "stoa/parallel/patience.h"
#include "stoa/parallel/shard.h"
#include "stoa/parallel/tree_reduce.h"

namespace stoa::parallel {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{4} << 20;
// Below this a gather and a sum on every rank is one round instead of two.
constexpr std::size_t kSmallBytes = 1024;

void check(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  throw CommError("{}: {}", call, std::string(text.data(), static_cast<std::size_t>(length)));
}

// Where the array of each rank begins, when arrays of `stride` values stand one after another.
template <typename T>
std::vector<T*> arrays(std::vector<std::byte>& buffer, std::size_t stride, int ranks) {
  std::vector<T*> begins;
  for (int rank = 0; rank < ranks; ++rank)
    begins.push_back(reinterpret_cast<T*>(buffer.data()) + static_cast<std::size_t>(rank) * stride);
  return begins;
}

}  // namespace

MpiMessages::MpiMessages(MPI_Comm communicator) : buffers_(std::make_unique<Buffers>()) {
  check(MPI_Comm_dup(communicator, &communicator_), "MPI_Comm_dup");
  MPI_Comm_rank(communicator_, &rank_);
  MPI_Comm_size(communicator_, &size_);
  const auto ranks = static_cast<std::size_t>(size_);
  buffers_->sending.resize(kChunkBytes);
  // The parts of one chunk are rounded up to whole values.
  buffers_->received.resize(kChunkBytes + ranks * std::max(sizeof(double), kSmallBytes));
  for (auto* numbers : {&buffers_->counts, &buffers_->places, &buffers_->counts_of_mine, &buffers_->places_of_mine})
    numbers->resize(ranks);
}

MpiMessages::~MpiMessages() {
  if (failed_)
    // MPI may still write into them. That is the end of this process in any case.
    static_cast<void>(buffers_.release());
  else
    MPI_Comm_free(&communicator_);
}

void MpiMessages::await(MPI_Request request, TimePoint deadline) {
  Patience patience(deadline);
  for (int done = 0;;) {
    failed_ = true;
    check(MPI_Test(&request, &done, MPI_STATUS_IGNORE), "MPI_Test");
    if (done == 0 && !patience.wait_a_little()) throw CommError("not every rank came before the deadline");
    failed_ = false;
    if (done != 0) return;
  }
}

void MpiMessages::barrier(TimePoint deadline) {
  MPI_Request request;
  check(MPI_Ibarrier(communicator_, &request), "MPI_Ibarrier");
  await(request, deadline);
}

// Each rank gets its slice of everyone's chunk, sums it along the tree, and everyone gathers the slices.
template <typename T>
void MpiMessages::reduce_chunk(std::span<T> values, ReduceOp op, TimePoint deadline) {
  auto& [sending, received, counts, places, counts_of_mine, places_of_mine] = *buffers_;
  const auto extent = static_cast<std::int64_t>(values.size());
  const Slice mine = balanced_slice(extent, size_, rank_);
  for (int rank = 0; rank < size_; ++rank) {
    const Slice slice = balanced_slice(extent, size_, rank);
    const auto at = static_cast<std::size_t>(rank);
    counts[at] = static_cast<int>(slice.size() * static_cast<std::int64_t>(sizeof(T)));
    places[at] = static_cast<int>(slice.begin * static_cast<std::int64_t>(sizeof(T)));
    counts_of_mine[at] = static_cast<int>(mine.size() * static_cast<std::int64_t>(sizeof(T)));
    places_of_mine[at] = rank * counts_of_mine[at];
  }
  std::memcpy(sending.data(), values.data(), values.size_bytes());
  MPI_Request request;
  check(MPI_Ialltoallv(sending.data(), counts.data(), places.data(), MPI_BYTE, received.data(), counts_of_mine.data(),
                       places_of_mine.data(), MPI_BYTE, communicator_, &request),
        "MPI_Ialltoallv");
  await(request, deadline);
  const auto mine_size = static_cast<std::size_t>(mine.size());
  tree_reduce<T>(arrays<T>(received, mine_size, size_), mine_size, op,
                 reinterpret_cast<T*>(sending.data()) + mine.begin);
  check(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, sending.data(), counts.data(), places.data(), MPI_BYTE,
                        communicator_, &request),
        "MPI_Iallgatherv");
  await(request, deadline);
  std::memcpy(values.data(), sending.data(), values.size_bytes());
}

template <typename T>
void MpiMessages::reduce_small(std::span<T> values, ReduceOp op, TimePoint deadline) {
  if (values.empty()) return barrier(deadline);
  std::memcpy(buffers_->sending.data(), values.data(), values.size_bytes());
  const int bytes = static_cast<int>(values.size_bytes());
  MPI_Request request;
  check(MPI_Iallgather(buffers_->sending.data(), bytes, MPI_BYTE, buffers_->received.data(), bytes, MPI_BYTE,
                       communicator_, &request),
        "MPI_Iallgather");
  await(request, deadline);
  tree_reduce<T>(arrays<T>(buffers_->received, values.size(), size_), values.size(), op, values.data());
}

template <typename T>
void MpiMessages::all_reduce(std::span<T> values, ReduceOp op, TimePoint deadline) {
  if (values.size_bytes() <= kSmallBytes) return reduce_small(values, op, deadline);
  constexpr std::size_t kChunk = kChunkBytes / sizeof(T);
  for (std::size_t at = 0; at < values.size(); at += kChunk)
    reduce_chunk(values.subspan(at, std::min(kChunk, values.size() - at)), op, deadline);
}

template void MpiMessages::all_reduce(std::span<float>, ReduceOp, TimePoint);
template void MpiMessages::all_reduce(std::span<double>, ReduceOp, TimePoint);
template void MpiMessages::all_reduce(std::span<std::int64_t>, ReduceOp, TimePoint);

void MpiMessages::all_gather(std::span<const std::byte> mine, std::span<std::byte> all, TimePoint deadline) {
  if (mine.empty()) return barrier(deadline);
  const std::size_t chunk = std::max<std::size_t>(1, kChunkBytes / static_cast<std::size_t>(size_));
  for (std::size_t at = 0; at < mine.size(); at += chunk) {
    const std::size_t size = std::min(chunk, mine.size() - at);
    std::memcpy(buffers_->sending.data(), mine.data() + at, size);
    MPI_Request request;
    check(MPI_Iallgather(buffers_->sending.data(), static_cast<int>(size), MPI_BYTE, buffers_->received.data(),
                         static_cast<int>(size), MPI_BYTE, communicator_, &request),
          "MPI_Iallgather");
    await(request, deadline);
    for (std::size_t rank = 0; rank < static_cast<std::size_t>(size_); ++rank)
      std::memcpy(all.data() + rank * mine.size() + at, buffers_->received.data() + rank * size, size);
  }
}

void MpiMessages::broadcast(std::span<std::byte> bytes, int root, TimePoint deadline) {
  if (bytes.empty()) return barrier(deadline);
  for (std::size_t at = 0; at < bytes.size(); at += kChunkBytes) {
    const auto chunk = bytes.subspan(at, std::min(kChunkBytes, bytes.size() - at));
    if (rank_ == root) std::memcpy(buffers_->sending.data(), chunk.data(), chunk.size());
    MPI_Request request;
    check(MPI_Ibcast(buffers_->sending.data(), static_cast<int>(chunk.size()), MPI_BYTE, root, communicator_, &request),
          "MPI_Ibcast");
    await(request, deadline);
    if (rank_ != root) std::memcpy(chunk.data(), buffers_->sending.data(), chunk.size());
  }
}

}  // namespace stoa::parallel

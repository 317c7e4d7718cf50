#include "stoa/parallel/mpi_messages.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "stoa/base/error.h"
#include "stoa/parallel/shard.h"
#include "stoa/parallel/tree_reduce.h"

namespace stoa::parallel {
namespace {

constexpr std::size_t kChunkBytes = std::size_t{4} << 20;
// Below this a gather and a sum on every rank is one round instead of two.
constexpr std::size_t kSmallBytes = 1024;

// Where the array of each rank begins, when arrays of `stride` values stand one after another.
template <typename T>
std::vector<T*> arrays(std::vector<std::byte>& buffer, std::size_t stride, int ranks) {
  std::vector<T*> begins;
  for (int rank = 0; rank < ranks; ++rank)
    begins.push_back(reinterpret_cast<T*>(buffer.data()) + static_cast<std::size_t>(rank) * stride);
  return begins;
}

template <typename T>
std::vector<std::span<T>> cut(std::span<T> all, std::span<const std::size_t> parts) {
  std::vector<std::span<T>> cuts;
  for (const std::size_t part : parts) {
    cuts.push_back(all.first(part));
    all = all.subspan(part);
  }
  return cuts;
}

template <typename T>
std::vector<std::size_t> bytes_of(std::span<const std::span<T>> parts) {
  std::vector<std::size_t> bytes;
  for (const std::span<T> part : parts) bytes.push_back(part.size_bytes());
  return bytes;
}

}  // namespace

struct MpiMessages::Buffers {
  std::vector<std::byte> sending;
  std::vector<std::byte> received;
  /// Bytes and places of the pieces that each rank sends and gets. MPI reads them until a call has ended.
  std::vector<int> counts, places, counts_of_mine, places_of_mine;
};

MpiMessages::MpiMessages(MPI_Comm communicator, std::vector<int> members)
    : group_(communicator, std::move(members)), mail_(group_), buffers_(std::make_unique<Buffers>()) {
  const auto ranks = static_cast<std::size_t>(group_.size());
  // The pieces of one chunk are rounded up to whole values.
  const std::size_t size = kChunkBytes + ranks * std::max(sizeof(double), kSmallBytes);
  buffers_->sending.resize(size);
  buffers_->received.resize(size);
  for (auto* numbers : {&buffers_->counts, &buffers_->places, &buffers_->counts_of_mine, &buffers_->places_of_mine})
    numbers->resize(ranks);
}

MpiMessages::~MpiMessages() {
  // MPI may still write into them. That is the end of this process in any case.
  if (group_.failed()) static_cast<void>(buffers_.release());
}

void MpiMessages::barrier(TimePoint deadline) {
  MPI_Request request;
  check_mpi(MPI_Ibarrier(group_.communicator(), &request), "MPI_Ibarrier");
  group_.await_all(request, deadline);
}

void MpiMessages::exchange(std::size_t mine_bytes, TimePoint deadline) {
  auto& [sending, received, counts, places, counts_of_mine, places_of_mine] = *buffers_;
  for (std::size_t rank = 0; rank < counts.size(); ++rank) {
    counts_of_mine[rank] = static_cast<int>(mine_bytes);
    places_of_mine[rank] = static_cast<int>(rank * mine_bytes);
  }
  MPI_Request request;
  check_mpi(MPI_Ialltoallv(sending.data(), counts.data(), places.data(), MPI_BYTE, received.data(),
                           counts_of_mine.data(), places_of_mine.data(), MPI_BYTE, group_.communicator(), &request),
            "MPI_Ialltoallv");
  group_.await_all(request, deadline);
}

void MpiMessages::gather_pieces(TimePoint deadline) {
  auto& [sending, received, counts, places, counts_of_mine, places_of_mine] = *buffers_;
  MPI_Request request;
  check_mpi(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, sending.data(), counts.data(), places.data(), MPI_BYTE,
                            group_.communicator(), &request),
            "MPI_Iallgatherv");
  group_.await_all(request, deadline);
}

std::size_t MpiMessages::piece_bytes() const {
  constexpr std::size_t kLine = 64;
  return std::max(kLine, kChunkBytes / buffers_->counts.size() / kLine * kLine);
}

std::size_t MpiMessages::place_pieces(std::size_t at, std::span<const std::size_t> part_bytes) {
  std::size_t end = 0;
  for (std::size_t rank = 0; rank < part_bytes.size(); ++rank) {
    const std::size_t size = at < part_bytes[rank] ? std::min(piece_bytes(), part_bytes[rank] - at) : 0;
    buffers_->counts[rank] = static_cast<int>(size);
    buffers_->places[rank] = static_cast<int>(end);
    end += size;
  }
  return end;
}

// Each rank gets its slice of everyone's chunk, sums it along the tree, and everyone gathers the slices.
template <typename T>
void MpiMessages::reduce_chunk(std::span<T> values, ReduceOp op, TimePoint deadline) {
  const auto extent = static_cast<std::int64_t>(values.size());
  std::vector<std::size_t> slices;
  for (int rank = 0; rank < ranks(); ++rank)
    slices.push_back(static_cast<std::size_t>(balanced_slice(extent, ranks(), rank).size()) * sizeof(T));
  place_pieces(0, slices);
  const auto me = static_cast<std::size_t>(rank());
  std::memcpy(buffers_->sending.data(), values.data(), values.size_bytes());
  exchange(slices[me], deadline);
  const std::size_t mine_size = slices[me] / sizeof(T);
  tree_reduce<T>(arrays<T>(buffers_->received, mine_size, ranks()), mine_size, op,
                 reinterpret_cast<T*>(buffers_->sending.data() + buffers_->places[me]));
  gather_pieces(deadline);
  std::memcpy(values.data(), buffers_->sending.data(), values.size_bytes());
}

template <typename T>
void MpiMessages::reduce_small(std::span<T> values, ReduceOp op, TimePoint deadline) {
  if (values.empty()) return barrier(deadline);
  std::memcpy(buffers_->sending.data(), values.data(), values.size_bytes());
  const int bytes = static_cast<int>(values.size_bytes());
  MPI_Request request;
  check_mpi(MPI_Iallgather(buffers_->sending.data(), bytes, MPI_BYTE, buffers_->received.data(), bytes, MPI_BYTE,
                           group_.communicator(), &request),
            "MPI_Iallgather");
  group_.await_all(request, deadline);
  tree_reduce<T>(arrays<T>(buffers_->received, values.size(), ranks()), values.size(), op, values.data());
}

template <typename T>
void MpiMessages::all_reduce(std::span<T> values, ReduceOp op, TimePoint deadline) {
  if (values.size_bytes() <= kSmallBytes) return reduce_small(values, op, deadline);
  const std::size_t chunk = piece_bytes() * buffers_->counts.size() / sizeof(T);
  for (std::size_t at = 0; at < values.size(); at += chunk)
    reduce_chunk(values.subspan(at, std::min(chunk, values.size() - at)), op, deadline);
}

template void MpiMessages::all_reduce(std::span<float>, ReduceOp, TimePoint);
template void MpiMessages::all_reduce(std::span<double>, ReduceOp, TimePoint);
template void MpiMessages::all_reduce(std::span<std::int64_t>, ReduceOp, TimePoint);

void MpiMessages::all_gather(std::span<const std::byte> mine, std::span<std::byte> all, TimePoint deadline) {
  const std::vector<std::size_t> parts(buffers_->counts.size(), mine.size());
  const auto cuts = cut(all, parts);
  std::copy(mine.begin(), mine.end(), cuts[static_cast<std::size_t>(rank())].begin());
  all_gather_parts(cuts, deadline);
}

void MpiMessages::broadcast(std::span<std::byte> bytes, int root, TimePoint deadline) {
  if (bytes.empty()) return barrier(deadline);
  for (std::size_t at = 0; at < bytes.size(); at += kChunkBytes) {
    const auto chunk = bytes.subspan(at, std::min(kChunkBytes, bytes.size() - at));
    if (rank() == root) std::memcpy(buffers_->sending.data(), chunk.data(), chunk.size());
    MPI_Request request;
    check_mpi(MPI_Ibcast(buffers_->sending.data(), static_cast<int>(chunk.size()), MPI_BYTE, root,
                         group_.communicator(), &request),
              "MPI_Ibcast");
    group_.await_all(request, deadline);
    if (rank() != root) std::memcpy(chunk.data(), buffers_->sending.data(), chunk.size());
  }
}

void MpiMessages::reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts, std::span<float> mine,
                                 TimePoint deadline) {
  reduce_scatter(cut(terms, parts), mine, deadline);
}

void MpiMessages::all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts, TimePoint deadline) {
  all_gather_parts(cut(all, parts), deadline);
}

// In rounds, each over a piece of every rank's part.
void MpiMessages::reduce_scatter(std::span<const std::span<float>> terms, std::span<float> mine, TimePoint deadline) {
  const std::vector<std::size_t> part_bytes = bytes_of(terms);
  const std::size_t longest = *std::max_element(part_bytes.begin(), part_bytes.end());
  if (longest == 0) return barrier(deadline);
  for (std::size_t at = 0; at < longest; at += piece_bytes()) {
    place_pieces(at, part_bytes);
    const auto& [sending, received, counts, places, counts_of_mine, places_of_mine] = *buffers_;
    for (std::size_t rank = 0; rank < terms.size(); ++rank)
      if (counts[rank] > 0)
        std::memcpy(buffers_->sending.data() + places[rank], std::as_bytes(terms[rank]).data() + at,
                    static_cast<std::size_t>(counts[rank]));
    const auto piece = static_cast<std::size_t>(counts[static_cast<std::size_t>(rank())]);
    exchange(piece, deadline);
    if (piece == 0) continue;
    const std::size_t size = piece / sizeof(float);
    tree_reduce<float>(arrays<float>(buffers_->received, size, ranks()), size, ReduceOp::kSum,
                       mine.data() + at / sizeof(float));
  }
}

void MpiMessages::all_gather_parts(std::span<const std::span<std::byte>> parts, TimePoint deadline) {
  const std::vector<std::size_t> part_bytes = bytes_of(parts);
  const std::size_t longest = *std::max_element(part_bytes.begin(), part_bytes.end());
  if (longest == 0) return barrier(deadline);
  const auto me = static_cast<std::size_t>(rank());
  for (std::size_t at = 0; at < longest; at += piece_bytes()) {
    place_pieces(at, part_bytes);
    const auto& counts = buffers_->counts;
    const auto in_sending = [&](std::size_t rank) { return buffers_->sending.data() + buffers_->places[rank]; };
    if (counts[me] > 0) std::memcpy(in_sending(me), parts[me].data() + at, static_cast<std::size_t>(counts[me]));
    gather_pieces(deadline);
    for (std::size_t rank = 0; rank < parts.size(); ++rank)
      if (rank != me && counts[rank] > 0)
        std::memcpy(parts[rank].data() + at, in_sending(rank), static_cast<std::size_t>(counts[rank]));
  }
}

}  // namespace stoa::parallel

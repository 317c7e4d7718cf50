#include "stoa/parallel/mpi_messages.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "stoa/base/error.h"
#include "stoa/parallel/message_buffers.h"
#include "stoa/parallel/private_memory.h"
#include "stoa/parallel/shard.h"
#include "stoa/parallel/tree_reduce.h"

namespace stoa::parallel {
namespace {

// Where the array of each rank begins, when arrays of `stride` values stand one after another.
template <typename T>
std::vector<T*> arrays(std::span<std::byte> buffer, std::size_t stride, int ranks) {
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
std::size_t longest_bytes(std::span<const std::span<T>> parts) {
  std::size_t longest = 0;
  for (const std::span<T> part : parts) longest = std::max(longest, part.size_bytes());
  return longest;
}

/// Balanced slices of what all ranks have.
template <typename T>
void cut_slices(std::span<T> values, int ranks, std::vector<std::span<std::byte>>& pieces) {
  pieces.clear();
  for (int rank = 0; rank < ranks; ++rank) {
    const Slice slice = balanced_slice(static_cast<std::int64_t>(values.size()), ranks, rank);
    pieces.push_back(std::as_writable_bytes(
        values.subspan(static_cast<std::size_t>(slice.begin), static_cast<std::size_t>(slice.size()))));
  }
}

/// The piece of each part that begins `at` bytes behind its begin.
template <typename T>
void cut_pieces(std::span<const std::span<T>> parts, std::size_t at, std::size_t piece_bytes,
                std::vector<std::span<std::byte>>& pieces) {
  pieces.clear();
  for (const std::span<T> part : parts) {
    const auto bytes = std::as_writable_bytes(part);
    pieces.push_back(at < bytes.size() ? bytes.subspan(at, std::min(piece_bytes, bytes.size() - at)) : bytes.first(0));
  }
}

}  // namespace

struct MpiMessages::Flight {
  std::vector<std::span<std::byte>> pieces;  ///< of each rank's part, in the caller's memory
  std::span<std::byte> sending, received;    ///< a place for each rank
  std::vector<MPI_Request> requests;
};

class MpiMessages::Memory final : public CommunicatorMemory {
 public:
  Memory(MpiMessages& messages, std::size_t bytes, std::string_view what)
      : messages_(messages), memory_(std::make_unique<PrivateMemory>(bytes, what)) {
    messages_.allocated_.emplace_back(memory_->bytes());
  }
  ~Memory() override {
    std::erase_if(messages_.allocated_, [this](const auto& other) { return other.data() == memory_->bytes().data(); });
    if (messages_.group_.failed()) static_cast<void>(memory_.release());
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  std::span<std::byte> bytes() override { return memory_->bytes(); }

 private:
  MpiMessages& messages_;
  std::unique_ptr<PrivateMemory> memory_;
};

MpiMessages::MpiMessages(MPI_Comm communicator, std::vector<int> members)
    : group_(communicator, std::move(members)),
      mail_(group_),
      piece_bytes_(message_piece_bytes(ranks())),
      buffers_(std::make_unique<PrivateMemory>(message_buffer_bytes(ranks()), "messages of MPI")),
      flights_(kMessageFlights) {
  const std::size_t size = static_cast<std::size_t>(ranks()) * piece_bytes_;
  std::span<std::byte> rest = buffers_->bytes();
  for (Flight& flight : flights_) {
    flight.sending = rest.first(size);
    flight.received = rest.subspan(size, size);
    rest = rest.subspan(2 * size);
  }
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

std::unique_ptr<CommunicatorMemory> MpiMessages::allocate(std::size_t bytes, std::string_view what) {
  return std::make_unique<Memory>(*this, bytes, what);
}

bool MpiMessages::is_allocated(std::span<const std::byte> bytes) const {
  return std::ranges::any_of(allocated_, [&](const std::span<const std::byte> memory) {
    return bytes.data() >= memory.data() && bytes.data() + bytes.size() <= memory.data() + memory.size();
  });
}

std::span<std::byte> MpiMessages::place(std::span<std::byte> buffer, std::size_t rank, std::size_t size_bytes) const {
  return buffer.subspan(rank * piece_bytes_, size_bytes);
}

void MpiMessages::receive_piece(Flight& flight, std::size_t from, std::span<std::byte> to) {
  if (to.empty()) return;
  check_mpi(MPI_Irecv(to.data(), static_cast<int>(to.size()), MPI_BYTE, static_cast<int>(from), MpiGroup::kPieceTag,
                      group_.communicator(), &flight.requests.emplace_back(MPI_REQUEST_NULL)),
            "MPI_Irecv");
}

void MpiMessages::send_piece(Flight& flight, std::span<const std::byte> piece, std::size_t to) {
  if (piece.empty()) return;
  check_mpi(MPI_Isend(piece.data(), static_cast<int>(piece.size()), MPI_BYTE, static_cast<int>(to), MpiGroup::kPieceTag,
                      group_.communicator(), &flight.requests.emplace_back(MPI_REQUEST_NULL)),
            "MPI_Isend");
}

std::span<const std::byte> MpiMessages::sendable(Flight& flight, std::size_t piece) {
  const std::span<std::byte> bytes = flight.pieces[piece];
  if (bytes.empty() || is_allocated(bytes)) return bytes;
  const std::span<std::byte> copy = place(flight.sending, piece, bytes.size());
  std::memcpy(copy.data(), bytes.data(), bytes.size());
  return copy;
}

std::span<std::byte> MpiMessages::landing(Flight& flight, std::size_t piece) {
  const std::span<std::byte> bytes = flight.pieces[piece];
  return is_allocated(bytes) ? bytes : place(flight.received, piece, bytes.size());
}

// Every rank begins with the one behind it, so that no rank is everyone's first.
void MpiMessages::begin_scatter(Flight& flight) {
  const auto me = static_cast<std::size_t>(rank()), all = flight.pieces.size();
  flight.requests.clear();
  for (std::size_t i = 1; i < all; ++i) {
    const std::size_t from = (me + all - i) % all;
    receive_piece(flight, from, place(flight.received, from, flight.pieces[me].size()));
  }
  for (std::size_t i = 1; i < all; ++i) send_piece(flight, sendable(flight, (me + i) % all), (me + i) % all);
}

template <typename T>
void MpiMessages::end_scatter(Flight& flight, ReduceOp op, T* out, TimePoint deadline) {
  group_.await_all(flight.requests, deadline);
  const auto me = static_cast<std::size_t>(rank());
  const std::size_t size = flight.pieces[me].size() / sizeof(T);
  if (size == 0) return;
  std::vector<T*> terms = arrays<T>(flight.received, piece_bytes_ / sizeof(T), ranks());
  terms[me] = reinterpret_cast<T*>(flight.pieces[me].data());
  tree_reduce<T>(terms, size, op, out);
}

void MpiMessages::begin_gather(Flight& flight) {
  const auto me = static_cast<std::size_t>(rank()), all = flight.pieces.size();
  flight.requests.clear();
  for (std::size_t i = 1; i < all; ++i)
    receive_piece(flight, (me + all - i) % all, landing(flight, (me + all - i) % all));
  const std::span<const std::byte> mine = sendable(flight, me);
  for (std::size_t i = 1; i < all; ++i) send_piece(flight, mine, (me + i) % all);
}

void MpiMessages::end_gather(Flight& flight, TimePoint deadline) {
  group_.await_all(flight.requests, deadline);
  for (std::size_t from = 0; from < flight.pieces.size(); ++from) {
    const std::span<std::byte> piece = flight.pieces[from], here = landing(flight, from);
    if (from != static_cast<std::size_t>(rank()) && here.data() != piece.data() && !piece.empty())
      std::memcpy(piece.data(), here.data(), piece.size());
  }
}

template <typename T>
void MpiMessages::reduce_small(std::span<T> values, ReduceOp op, TimePoint deadline) {
  if (values.empty()) return barrier(deadline);
  const std::span<std::byte> sending = flights_[0].sending, received = flights_[0].received;
  std::memcpy(sending.data(), values.data(), values.size_bytes());
  const int bytes = static_cast<int>(values.size_bytes());
  MPI_Request request;
  check_mpi(MPI_Iallgather(sending.data(), bytes, MPI_BYTE, received.data(), bytes, MPI_BYTE, group_.communicator(),
                           &request),
            "MPI_Iallgather");
  group_.await_all(request, deadline);
  tree_reduce<T>(arrays<T>(received, values.size(), ranks()), values.size(), op, values.data());
}

// Each rank gets its slice of everyone's chunk, sums it along the tree, and everyone gathers the slices.
template <typename T>
void MpiMessages::all_reduce(std::span<T> values, ReduceOp op, TimePoint deadline) {
  if (values.size_bytes() <= kSmallMessageBytes) return reduce_small(values, op, deadline);
  const std::size_t chunk = piece_bytes_ * static_cast<std::size_t>(ranks()) / sizeof(T);
  const std::size_t chunks = (values.size() + chunk - 1) / chunk;
  const auto flight = [&](std::size_t number) -> Flight& { return flights_[number % kMessageFlights]; };
  for (std::size_t next = 0; next < chunks + 2; ++next) {
    if (next < chunks) {
      const auto part = values.subspan(next * chunk, std::min(chunk, values.size() - next * chunk));
      cut_slices(part, ranks(), flight(next).pieces);
      begin_scatter(flight(next));
    }
    if (next >= 1 && next - 1 < chunks) {
      Flight& summed = flight(next - 1);
      end_scatter(summed, op, reinterpret_cast<T*>(summed.pieces[static_cast<std::size_t>(rank())].data()), deadline);
      begin_gather(summed);
    }
    if (next >= 2) end_gather(flight(next - 2), deadline);
  }
}

template void MpiMessages::all_reduce(std::span<float>, ReduceOp, TimePoint);
template void MpiMessages::all_reduce(std::span<double>, ReduceOp, TimePoint);
template void MpiMessages::all_reduce(std::span<std::int64_t>, ReduceOp, TimePoint);

void MpiMessages::all_gather(std::span<const std::byte> mine, std::span<std::byte> all, TimePoint deadline) {
  const std::vector<std::size_t> parts(static_cast<std::size_t>(ranks()), mine.size());
  const auto cuts = cut(all, parts);
  std::copy(mine.begin(), mine.end(), cuts[static_cast<std::size_t>(rank())].begin());
  all_gather_parts(cuts, deadline);
}

void MpiMessages::broadcast(std::span<std::byte> bytes, int root, TimePoint deadline) {
  if (bytes.empty()) return barrier(deadline);
  const std::span<std::byte> buffer = flights_[0].sending;
  for (std::size_t at = 0; at < bytes.size(); at += buffer.size()) {
    const auto chunk = bytes.subspan(at, std::min(buffer.size(), bytes.size() - at));
    if (rank() == root) std::memcpy(buffer.data(), chunk.data(), chunk.size());
    MPI_Request request;
    check_mpi(
        MPI_Ibcast(buffer.data(), static_cast<int>(chunk.size()), MPI_BYTE, root, group_.communicator(), &request),
        "MPI_Ibcast");
    group_.await_all(request, deadline);
    if (rank() != root) std::memcpy(chunk.data(), buffer.data(), chunk.size());
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
  const std::size_t longest = longest_bytes(terms), piece = piece_bytes_;
  if (longest == 0) return barrier(deadline);
  const auto flight = [&](std::size_t at) -> Flight& { return flights_[at / piece % kMessageFlights]; };
  for (std::size_t at = 0; at < longest + piece; at += piece) {
    if (at < longest) {
      cut_pieces(terms, at, piece, flight(at).pieces);
      begin_scatter(flight(at));
    }
    if (at >= piece)
      end_scatter(flight(at - piece), ReduceOp::kSum, mine.data() + std::min(mine.size(), (at - piece) / sizeof(float)),
                  deadline);
  }
}

void MpiMessages::all_gather_parts(std::span<const std::span<std::byte>> parts, TimePoint deadline) {
  const std::size_t longest = longest_bytes(parts), piece = piece_bytes_;
  if (longest == 0) return barrier(deadline);
  const auto flight = [&](std::size_t at) -> Flight& { return flights_[at / piece % kMessageFlights]; };
  for (std::size_t at = 0; at < longest + piece; at += piece) {
    if (at < longest) {
      cut_pieces(parts, at, piece, flight(at).pieces);
      begin_gather(flight(at));
    }
    if (at >= piece) end_gather(flight(at - piece), deadline);
  }
}

}  // namespace stoa::parallel

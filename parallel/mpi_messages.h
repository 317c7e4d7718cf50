#pragma once
/// Collectives and messages through MPI, for ranks on several nodes. Nonblocking MPI calls are polled until the
/// deadline. All data passes through buffers that this object owns, in bounded pieces (small enough that a piece is
/// still in the processor's cache when it is copied on) or through memory from allocate(): a transfer that a failed
/// call left under way never touches the caller's memory, and after a failure the buffers are kept for the rest of the
/// process.
#include <mpi.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "stoa/parallel/communicator.h"
#include "stoa/parallel/mpi_group.h"
#include "stoa/parallel/mpi_mail.h"
#include "stoa/parallel/private_memory.h"

namespace stoa::parallel {

class MpiMessages {
 public:
  using TimePoint = MpiGroup::TimePoint;

  /// Takes the communicator over. `members`: the rank in the job of each.
  MpiMessages(MPI_Comm communicator, std::vector<int> members);
  ~MpiMessages();
  MpiMessages(const MpiMessages&) = delete;
  MpiMessages& operator=(const MpiMessages&) = delete;

  int rank() const { return group_.rank(); }
  int ranks() const { return group_.size(); }
  MPI_Comm communicator() const { return group_.communicator(); }
  void set_waiting(Waiting waiting) { group_.set_waiting(waiting); }

  void barrier(TimePoint deadline);
  template <typename T>
  void all_reduce(std::span<T> values, ReduceOp op, TimePoint deadline);
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all, TimePoint deadline);
  void broadcast(std::span<std::byte> bytes, int root, TimePoint deadline);
  void reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts, std::span<float> mine,
                      TimePoint deadline);
  void all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts, TimePoint deadline);
  void send(std::span<const std::byte> bytes, int to, TimePoint deadline) { mail_.send(bytes, to, deadline); }
  void receive(std::span<std::byte> bytes, int from, TimePoint deadline) { mail_.receive(bytes, from, deadline); }

  /// Memory that MPI itself reads and writes in collectives. Destroyed before this object; after a failure it is kept
  /// as the buffers are.
  std::unique_ptr<CommunicatorMemory> allocate(std::size_t bytes, std::string_view what);

  /// The same with parts that stand anywhere: terms[r] is this rank's term of part r.
  void reduce_scatter(std::span<const std::span<float>> terms, std::span<float> mine, TimePoint deadline);
  /// parts[rank()] is this rank's.
  void all_gather_parts(std::span<const std::span<std::byte>> parts, TimePoint deadline);

  void break_group(std::string_view reason) { group_.break_group(reason); }
  void interrupt() { group_.interrupt(); }

 private:
  /// A piece of every rank's part on its way, with buffers of its own. Some are under way at a time, so that the
  /// network has work while this rank copies and sums.
  struct Flight;
  class Memory;

  template <typename T>
  void reduce_small(std::span<T> values, ReduceOp op, TimePoint deadline);
  /// Each rank's piece goes to that rank; the end sums this rank's terms into `out`.
  void begin_scatter(Flight& flight);
  template <typename T>
  void end_scatter(Flight& flight, ReduceOp op, T* out, TimePoint deadline);
  /// This rank's piece goes to all; at the end theirs are here.
  void begin_gather(Flight& flight);
  void end_gather(Flight& flight, TimePoint deadline);
  void receive_piece(Flight& flight, std::size_t from, std::span<std::byte> to);
  void send_piece(Flight& flight, std::span<const std::byte> piece, std::size_t to);
  bool is_allocated(std::span<const std::byte> bytes) const;
  /// The piece itself where MPI may read it, else its copy in the flight's place of that number.
  std::span<const std::byte> sendable(Flight& flight, std::size_t piece);
  /// Where the gathered piece comes: itself, or that place.
  std::span<std::byte> landing(Flight& flight, std::size_t piece);
  std::span<std::byte> place(std::span<std::byte> buffer, std::size_t rank, std::size_t size_bytes) const;

  MpiGroup group_;
  MpiMail mail_;
  std::size_t piece_bytes_;
  std::unique_ptr<PrivateMemory> buffers_;
  std::vector<Flight> flights_;
  std::vector<std::span<const std::byte>> allocated_;
};

}  // namespace stoa::parallel

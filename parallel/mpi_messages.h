#pragma once
/// Collectives and messages through MPI, for ranks on several nodes. Nonblocking MPI calls are polled until the
/// deadline. All data passes through buffers that this object owns, in bounded chunks: a transfer that a failed call
/// left under way never touches the caller's memory, and after a failure the buffers are kept for the rest of the
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

  /// The same with parts that stand anywhere: terms[r] is this rank's term of part r.
  void reduce_scatter(std::span<const std::span<float>> terms, std::span<float> mine, TimePoint deadline);
  /// parts[rank()] is this rank's.
  void all_gather_parts(std::span<const std::span<std::byte>> parts, TimePoint deadline);

  void break_group(std::string_view reason) { group_.break_group(reason); }
  void interrupt() { group_.interrupt(); }

 private:
  struct Buffers;

  template <typename T>
  void reduce_chunk(std::span<T> values, ReduceOp op, TimePoint deadline);
  template <typename T>
  void reduce_small(std::span<T> values, ReduceOp op, TimePoint deadline);
  /// sending is cut into counts at places; afterwards received holds every rank's piece for this one, of mine bytes.
  void exchange(std::size_t mine_bytes, TimePoint deadline);
  /// Each rank's piece of sending, of counts bytes at places, comes to all.
  void gather_pieces(TimePoint deadline);
  std::size_t piece_bytes() const;
  /// Sets counts and places to a piece of each part; returns the bytes of all.
  std::size_t place_pieces(std::size_t at, std::span<const std::size_t> part_bytes);

  MpiGroup group_;
  MpiMail mail_;
  std::unique_ptr<Buffers> buffers_;
};

}  // namespace stoa::parallel

#pragma once
/// Messages from rank to rank through MPI. A message is its size, then its bytes in chunks.
///
/// The sender copies it into its own staging memory (kWaitingMessages messages a partner, as large as the largest) and
/// goes on; MPI_Issend tells it when the receiver has begun to take a message, so that no more than those wait. The
/// bytes are pulled by the receiver: on networks with remote reads (UCX, and between processes of a node) while the
/// sender computes, else when the sender next waits in any call of any group. The receiver has two chunks of staging
/// memory.
#include <array>
#include <chrono>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "stoa/parallel/communicator.h"
#include "stoa/parallel/mpi_group.h"

namespace stoa::parallel {

class MpiMail {
 public:
  using TimePoint = MpiGroup::TimePoint;

  /// Borrows the group.
  explicit MpiMail(MpiGroup& group);
  /// Does not wait: memory that MPI still reads or writes is left to it.
  ~MpiMail();
  MpiMail(const MpiMail&) = delete;
  MpiMail& operator=(const MpiMail&) = delete;

  void send(std::span<const std::byte> bytes, int to, TimePoint deadline);
  void receive(std::span<std::byte> bytes, int from, TimePoint deadline);

 private:
  struct Outgoing;
  struct Incoming;
  struct Partner;

  Partner& partner(int rank);
  void receive_chunk(Partner& from, std::size_t place, std::size_t size, int rank);

  MpiGroup& group_;
  std::vector<std::unique_ptr<Partner>> partners_;
};

}  // namespace stoa::parallel

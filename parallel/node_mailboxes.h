#pragma once
/// Messages from rank to rank on one node, through memory they share. Each ordered pair of ranks has kWaitingMessages
/// slots; the sender copies its message in, the receiver copies it out. A slot grows to the largest message that passed
/// through it, in pages added to the group's memory by the sender, which the receiver maps when it meets them: a
/// message outlives its sender.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "stoa/parallel/communicator.h"
#include "stoa/parallel/node_meeting.h"
#include "stoa/parallel/node_memory.h"

namespace stoa::parallel {

class NodeMailboxes {
 public:
  using TimePoint = NodeMeeting::TimePoint;

  static std::size_t bytes_needed(int ranks);

  /// `memory` keeps its name; `at` is the offset of this object's own zeroed part of it. Borrows both.
  NodeMailboxes(NodeMemory& memory, std::size_t at, NodeMeeting& meeting);

  void send(std::span<const std::byte> bytes, int to, TimePoint deadline);
  void receive(std::span<std::byte> bytes, int from, TimePoint deadline);

 private:
  struct Header;
  struct Slot;
  struct Channel;
  /// What this rank has mapped of a slot.
  struct Mapped {
    std::uint64_t begin = 0;
    NodePages pages;
  };

  Channel& channel(int from, int to) const;
  Mapped& mapped(int from, int to, std::uint64_t message);
  void grow(Slot& slot, std::size_t size);

  NodeMemory& memory_;
  std::size_t at_;
  NodeMeeting& meeting_;
  std::vector<Mapped> sending_, receiving_;
};

}  // namespace stoa::parallel

#pragma once
/// The collectives and messages of ranks on one node, through memory that all of them map. No rank ever writes into
/// another's private memory, and nothing is left under way when a call fails, so a broken group ends in order. Used by
/// MpiCommunicator; runs as well between threads.
///
/// A rank whose object is destroyed by an exception under way, or whose deadline passes, breaks the group: the others
/// get a CommError at once (NodeMeeting). CommErrors here do not name the call: Communicator adds that.
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/parallel/communicator.h"
#include "stoa/parallel/node_mailboxes.h"
#include "stoa/parallel/node_meeting.h"
#include "stoa/parallel/node_memory.h"

namespace stoa::parallel {

class NodeCollectives {
 public:
  using TimePoint = NodeMeeting::TimePoint;

  /// What the memory given to the constructor must hold.
  static std::size_t bytes_needed(int ranks);

  /// `memory` is the same zeroed memory on all ranks, and has its name still. `members`: the rank in the job of each.
  NodeCollectives(NodeMemory memory, std::vector<int> members, int rank);
  NodeCollectives(const NodeCollectives&) = delete;
  NodeCollectives& operator=(const NodeCollectives&) = delete;

  int rank() const { return meeting_.rank(); }
  int ranks() const { return meeting_.ranks(); }
  void set_waiting(Waiting waiting) { meeting_.set_waiting(waiting); }

  void barrier(TimePoint deadline);
  template <typename T>
  void all_reduce(std::span<T> values, ReduceOp op, TimePoint deadline);
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all, TimePoint deadline);
  void broadcast(std::span<std::byte> bytes, int root, TimePoint deadline);
  /// As Communicator's, for any type and operation.
  template <typename T>
  void reduce_scatter(std::span<T> terms, std::span<const std::size_t> parts, std::span<T> mine, ReduceOp op,
                      TimePoint deadline);
  void reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts, std::span<float> mine,
                      TimePoint deadline) {
    reduce_scatter(terms, parts, mine, ReduceOp::kSum, deadline);
  }
  void all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts, TimePoint deadline);
  void send(std::span<const std::byte> bytes, int to, TimePoint deadline) { mailboxes_.send(bytes, to, deadline); }
  void receive(std::span<std::byte> bytes, int from, TimePoint deadline) { mailboxes_.receive(bytes, from, deadline); }

  /// Memory in which collectives work in place: no copies. ResourceError on all ranks when one of them has none.
  std::unique_ptr<CommunicatorMemory> allocate(std::size_t bytes, std::string_view what, TimePoint deadline);

  /// The others stop waiting and throw. Any thread.
  void break_group(std::string_view reason) { meeting_.break_group(reason); }

 private:
  class SharedMemory;
  /// Memory from allocate(): rank r's part begins at base + r * stride.
  struct Region {
    std::uint64_t number = 0;
    std::byte* base = nullptr;
    std::size_t stride = 0;

    std::byte* of(int rank) const { return base + static_cast<std::size_t>(rank) * stride; }
  };
  /// Bytes of this rank's memory that are in a region.
  struct Place {
    const Region* region = nullptr;
    std::size_t offset = 0;
  };

  std::byte* small_slot(int rank) const;
  Region staging() const;

  Place place_of(std::span<const std::byte> bytes) const;
  void share_small(std::span<const std::byte> mine, std::uint64_t signature, TimePoint deadline);
  template <typename T>
  std::vector<T*> ranks_values(const Region& region, std::size_t offset) const;
  template <typename T>
  void reduce_in_place(const Region& region, std::size_t offset, std::size_t size_bytes, ReduceOp op,
                       TimePoint deadline);
  template <typename T>
  void reduce_scatter_staged(std::span<T> terms, std::span<const std::size_t> parts, std::span<T> mine, ReduceOp op,
                             TimePoint deadline);
  void all_gather_parts_staged(std::span<std::byte> all, std::span<const std::size_t> parts, TimePoint deadline);

  NodeMemory memory_;
  NodeMeeting meeting_;
  NodeMailboxes mailboxes_;
  std::uint64_t small_calls_ = 0;
  std::uint64_t regions_made_ = 0;
  std::vector<Region> regions_;
};

}  // namespace stoa::parallel

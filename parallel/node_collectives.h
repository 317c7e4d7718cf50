#pragma once
/// The collectives of ranks on one node, through memory that all of them map. No rank ever writes into another's
/// private memory, and nothing is left under way when a call fails, so a broken group ends in order. Used by
/// MpiCommunicator; runs as well between threads.
///
/// A rank whose object is destroyed by an exception under way, or whose deadline passes, breaks the group: the others
/// get a CommError at once. CommErrors here do not name the call: Communicator adds that.
#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/parallel/communicator.h"
#include "stoa/parallel/node_memory.h"

namespace stoa::parallel {

class NodeCollectives {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// What the memory given to the constructor must hold.
  static std::size_t bytes_needed(int ranks);

  /// `memory` is the same zeroed memory on all ranks.
  NodeCollectives(NodeMemory memory, int rank, int ranks);
  ~NodeCollectives();
  NodeCollectives(const NodeCollectives&) = delete;
  NodeCollectives& operator=(const NodeCollectives&) = delete;

  void barrier(TimePoint deadline);
  template <typename T>
  void all_reduce(std::span<T> values, ReduceOp op, TimePoint deadline);
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all, TimePoint deadline);
  void broadcast(std::span<std::byte> bytes, int root, TimePoint deadline);

  /// Memory in which all_reduce works in place: no copies. ResourceError on all ranks when one of them has none.
  std::unique_ptr<CommunicatorMemory> allocate(std::size_t bytes, std::string_view what, TimePoint deadline);

  /// The others stop waiting and throw.
  void break_group();

 private:
  struct Seat;
  struct Header;
  class SharedMemory;
  /// Memory from allocate(): rank r's part begins at base + r * stride.
  struct Region {
    std::uint64_t number = 0;
    std::byte* base = nullptr;
    std::size_t stride = 0;
  };

  Header& header() const;
  Seat& seat(int rank) const;
  std::byte* small_slot(int rank) const;
  std::byte* staging(int rank) const;

  void meet(std::uint64_t signature, TimePoint deadline);
  void wait_for(int other, TimePoint deadline);
  [[noreturn]] void fail(const std::string& message);
  const Region* region_of(std::span<const std::byte> bytes) const;
  void share_small(std::span<const std::byte> mine, std::uint64_t signature, TimePoint deadline);
  template <typename T>
  void reduce_in_place(const Region& region, std::size_t offset, std::size_t size_bytes, ReduceOp op,
                       TimePoint deadline);

  NodeMemory memory_;
  int rank_;
  int ranks_;
  int uncaught_at_start_;
  std::uint64_t epoch_ = 0;
  std::uint64_t small_calls_ = 0;
  std::uint64_t regions_made_ = 0;
  std::vector<Region> regions_;
};

}  // namespace stoa::parallel

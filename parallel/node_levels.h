#pragma once
/// The collectives of a group that spans several nodes with the same number m of neighbouring ranks on each: within the
/// node through shared memory, between nodes through messages, so that each byte crosses the network once a node and
/// not once a rank. Rank k * m + i is rank i of node k; `across` joins the ranks i of all nodes.
///
/// m is a power of two: then the ranks of a node are a whole subtree of tree_order.h, and sums have the bits of plain
/// messages.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>

#include "stoa/parallel/communicator.h"

namespace stoa::parallel {

class MpiMessages;
class NodeCollectives;

class NodeLevels {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  /// Whether ranks on these nodes can: nodes[r] is any number for the node of rank r.
  static bool fit(std::span<const int> nodes);

  /// Borrows both.
  NodeLevels(NodeCollectives& node, MpiMessages& across) : node_(node), across_(across) {}

  void barrier(TimePoint deadline);
  template <typename T>
  void all_reduce(std::span<T> values, ReduceOp op, TimePoint deadline);
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all, TimePoint deadline);
  void broadcast(std::span<std::byte> bytes, int root, TimePoint deadline);
  void reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts, std::span<float> mine,
                      TimePoint deadline);
  void all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts, TimePoint deadline);

 private:
  NodeCollectives& node_;
  MpiMessages& across_;
};

}  // namespace stoa::parallel

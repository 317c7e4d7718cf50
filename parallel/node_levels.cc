#include "stoa/parallel/node_levels.h"

#include <algorithm>
#include <bit>
#include <numeric>
#include <vector>

#include "stoa/parallel/mpi_messages.h"
#include "stoa/parallel/node_collectives.h"
#include "stoa/parallel/shard.h"

namespace stoa::parallel {
namespace {

// Below this every rank of a node sends all of it: one round instead of three.
constexpr std::size_t kSmallBytes = 1024;

// The parts of one node, and where they stand.
struct NodeParts {
  std::span<const std::size_t> sizes;
  std::size_t begin = 0;
  std::size_t size = 0;
};

std::vector<NodeParts> by_node(std::span<const std::size_t> parts, int ranks_of_node) {
  const auto m = static_cast<std::size_t>(ranks_of_node);
  std::vector<NodeParts> nodes;
  std::size_t begin = 0;
  for (std::size_t first = 0; first < parts.size(); first += m) {
    const auto sizes = parts.subspan(first, m);
    nodes.push_back({sizes, begin, std::reduce(sizes.begin(), sizes.end())});
    begin += nodes.back().size;
  }
  return nodes;
}

// Of each node's parts, that of its rank i.
template <typename T>
std::vector<std::span<T>> parts_of_rank(std::span<T> all, std::span<const NodeParts> nodes, int i) {
  std::vector<std::span<T>> parts;
  for (const NodeParts& node : nodes)
    parts.push_back(all.subspan(std::reduce(node.sizes.begin(), node.sizes.begin() + i, node.begin),
                                node.sizes[static_cast<std::size_t>(i)]));
  return parts;
}

}  // namespace

bool NodeLevels::fit(std::span<const int> nodes) {
  const auto m = static_cast<std::size_t>(std::count(nodes.begin(), nodes.end(), nodes.front()));
  if (m == 1 || m == nodes.size() || !std::has_single_bit(m) || nodes.size() % m != 0) return false;
  std::vector<int> seen;
  for (std::size_t first = 0; first < nodes.size(); first += m) {
    if (std::count(nodes.begin() + std::ptrdiff_t(first), nodes.begin() + std::ptrdiff_t(first + m), nodes[first]) !=
        std::ptrdiff_t(m))
      return false;
    if (std::find(seen.begin(), seen.end(), nodes[first]) != seen.end()) return false;
    seen.push_back(nodes[first]);
  }
  return true;
}

// Who has passed both knows that all ranks of every node came to the first.
void NodeLevels::barrier(TimePoint deadline) {
  node_.barrier(deadline);
  across_.barrier(deadline);
}

template <typename T>
void NodeLevels::all_reduce(std::span<T> values, ReduceOp op, TimePoint deadline) {
  if (values.size_bytes() <= kSmallBytes) {
    node_.all_reduce(values, op, deadline);
    return across_.all_reduce(values, op, deadline);
  }
  std::vector<std::size_t> slices, slice_bytes;
  for (int i = 0; i < node_.ranks(); ++i) {
    const Slice slice = balanced_slice(static_cast<std::int64_t>(values.size()), node_.ranks(), i);
    slices.push_back(static_cast<std::size_t>(slice.size()));
    slice_bytes.push_back(slices.back() * sizeof(T));
  }
  const auto me = static_cast<std::size_t>(node_.rank());
  const std::span<T> mine =
      values.subspan(std::reduce(slices.begin(), slices.begin() + node_.rank(), std::size_t{0}), slices[me]);
  node_.reduce_scatter(values, slices, mine, op, deadline);
  across_.all_reduce(mine, op, deadline);
  node_.all_gather_parts(std::as_writable_bytes(values), slice_bytes, deadline);
}

template void NodeLevels::all_reduce(std::span<float>, ReduceOp, TimePoint);
template void NodeLevels::all_reduce(std::span<double>, ReduceOp, TimePoint);
template void NodeLevels::all_reduce(std::span<std::int64_t>, ReduceOp, TimePoint);

void NodeLevels::all_gather(std::span<const std::byte> mine, std::span<std::byte> all, TimePoint deadline) {
  const auto rank = static_cast<std::size_t>(across_.rank() * node_.ranks() + node_.rank());
  std::copy(mine.begin(), mine.end(), all.subspan(rank * mine.size()).begin());
  const std::vector<std::size_t> parts(static_cast<std::size_t>(across_.ranks() * node_.ranks()), mine.size());
  all_gather_parts(all, parts, deadline);
}

void NodeLevels::broadcast(std::span<std::byte> bytes, int root, TimePoint deadline) {
  const int of_node = root % node_.ranks();
  if (node_.rank() == of_node) across_.broadcast(bytes, root / node_.ranks(), deadline);
  node_.broadcast(bytes, of_node, deadline);
}

// Each node sums its ranks' terms of every part; what its rank i keeps of that are the terms of the ranks i of all
// nodes. They stand in `terms`, in their places.
void NodeLevels::reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts, std::span<float> mine,
                                TimePoint deadline) {
  const std::vector<NodeParts> nodes = by_node(parts, node_.ranks());
  const auto node_terms = parts_of_rank(terms, nodes, node_.rank());
  for (std::size_t k = 0; k < nodes.size(); ++k)
    node_.reduce_scatter(terms.subspan(nodes[k].begin, nodes[k].size), nodes[k].sizes, node_terms[k], ReduceOp::kSum,
                         deadline);
  across_.reduce_scatter(node_terms, mine, deadline);
}

void NodeLevels::all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts, TimePoint deadline) {
  const std::vector<NodeParts> nodes = by_node(parts, node_.ranks());
  across_.all_gather_parts(parts_of_rank(all, nodes, node_.rank()), deadline);
  for (const NodeParts& node : nodes) node_.all_gather_parts(all.subspan(node.begin, node.size), node.sizes, deadline);
}

}  // namespace stoa::parallel

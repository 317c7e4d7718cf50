#pragma once
/// The one order in which Stoa sums: a binary tree over indexes 0..n-1.
///
///   tree(first, n) = leaf(first)                                     n = 1
///                  = tree(first, p) + tree(first + p, n - p)         p = the largest power of two below n
///
/// A rank that holds leaves [r*m, (r+1)*m) with m a power of two holds a whole subtree, so summing locally along the
/// tree and then over ranks along the tree gives the bits of one rank that holds all leaves. Ranks with an m that is no
/// power of two do not (unless there is one rank): deterministic mode refuses them.
#include <bit>
#include <cstddef>
#include <cstdint>

namespace stoa::parallel {

/// The left part of a tree of n > 1 leaves.
constexpr std::size_t tree_split(std::size_t n) { return std::bit_floor(n - 1); }

/// Whether `ranks` ranks with `leaves_per_rank` consecutive leaves each hold whole subtrees.
constexpr bool holds_whole_subtrees(std::int64_t ranks, std::int64_t leaves_per_rank) {
  return ranks == 1 || std::has_single_bit(static_cast<std::uint64_t>(leaves_per_rank));
}

/// Calls add(left, right) (meaning: left += right) for every inner node over leaves [first, first + n), children before
/// parents; a subtree's sum stands at its first leaf.
template <typename Add>
void for_each_tree_sum(std::size_t first, std::size_t n, Add&& add) {
  if (n <= 1) return;
  const std::size_t left = tree_split(n);
  for_each_tree_sum(first, left, add);
  for_each_tree_sum(first + left, n - left, add);
  add(first, first + left);
}

/// Streams leaves in index order and keeps only the partial sums that are still open, as a binary counter does. Leaf i
/// is written to slot push(i); afterwards merge() is called for each sum that became whole. At most log2(n) + 1 slots.
class TreeAccumulator {
 public:
  explicit TreeAccumulator(std::size_t leaves) : leaves_(leaves) {}

  static constexpr std::size_t slots(std::size_t leaves) { return static_cast<std::size_t>(std::bit_width(leaves)); }

  /// The slot into which the next leaf is to be written.
  std::size_t next_slot() const { return static_cast<std::size_t>(std::popcount(done_)); }

  /// Counts the leaf just written and calls add(left_slot, right_slot) for each sum that is now whole, in tree order.
  /// After the last leaf the total stands in slot 0.
  template <typename Add>
  void leaf_done(Add&& add) {
    std::size_t top = next_slot();
    ++done_;
    for (std::size_t whole = done_; whole % 2 == 0 && top > 0; whole /= 2, --top) add(top - 1, top);
    if (done_ == leaves_)
      for (std::size_t open = static_cast<std::size_t>(std::popcount(done_)); open > 1; --open) add(open - 2, open - 1);
  }

 private:
  std::size_t leaves_;
  std::size_t done_ = 0;
};

}  // namespace stoa::parallel

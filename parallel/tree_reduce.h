#pragma once
/// Values of several ranks, all in reach of this processor, reduced along the tree of tree_order.h. Used by every
/// communicator, so all of them add the same numbers in the same order.
#include <cstdint>
#include <span>

#include "stoa/parallel/communicator.h"

namespace stoa::parallel {

/// out[i] = tree over r of ranks[r][i], for i in 0..n-1. Works in blocks that stay in the first-level cache. `out` may
/// be one of the ranks' arrays itself, else it does not overlap them. REQUIRES: at least one rank.
template <typename T>
void tree_reduce(std::span<T* const> ranks, std::size_t n, ReduceOp op, T* out);

/// The same, and every rank's array gets the result.
template <typename T>
void tree_reduce_in_place(std::span<T* const> ranks, std::size_t n, ReduceOp op);

}  // namespace stoa::parallel

#include "stoa/parallel/tree_reduce.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "stoa/parallel/tree_order.h"

namespace stoa::parallel {
namespace {

constexpr std::size_t kBlockBytes = 4096;

// A rank number has fewer than 32 bits, and each level of the tree keeps one block open.
constexpr std::size_t kLevels = 32;

struct Sum {
  template <typename T>
  static T of(T a, T b) {
    return a + b;
  }
};

// Where one value is NaN the result is NaN: a > b is false when b is NaN, and then b stands.
struct Max {
  template <typename T>
  static T of(T a, T b) {
    return (a > b) | (a != a) ? a : b;
  }
};

struct Min {
  template <typename T>
  static T of(T a, T b) {
    return (a < b) | (a != a) ? a : b;
  }
};

template <typename Op, typename T>
void combine(const T* a, const T* b, std::size_t n, T* __restrict out) {
  for (std::size_t i = 0; i < n; ++i) out[i] = Op::of(a[i], b[i]);
}

template <typename Op, typename T>
void combine_into(T* __restrict out, const T* __restrict b, std::size_t n) {
  for (std::size_t i = 0; i < n; ++i) out[i] = Op::of(out[i], b[i]);
}

// One block of the tree over ranks[first, first + count) into out; `open` holds a block for each level below.
template <typename Op, typename T>
void reduce_block(std::span<T* const> ranks, std::size_t at, std::size_t n, T* out, T* open) {
  if (ranks.size() == 1) {
    std::memcpy(out, ranks[0] + at, n * sizeof(T));
    return;
  }
  if (ranks.size() == 2) {
    combine<Op>(ranks[0] + at, ranks[1] + at, n, out);
    return;
  }
  const std::size_t left = tree_split(ranks.size());
  reduce_block<Op>(ranks.first(left), at, n, out, open);
  if (ranks.size() - left == 1) {
    combine_into<Op>(out, ranks[left] + at, n);
    return;
  }
  reduce_block<Op>(ranks.subspan(left), at, n, open, open + kBlockBytes / sizeof(T));
  combine_into<Op>(out, open, n);
}

template <typename Op, typename T, typename Deliver>
void for_each_block(std::span<T* const> ranks, std::size_t n, Deliver&& deliver) {
  constexpr std::size_t kBlock = kBlockBytes / sizeof(T);
  alignas(64) std::array<T, kBlock> result;
  alignas(64) std::array<T, kBlock * kLevels> open;
  for (std::size_t at = 0; at < n; at += kBlock) {
    const std::size_t size = std::min(kBlock, n - at);
    reduce_block<Op>(ranks, at, size, result.data(), open.data());
    deliver(at, size, result.data());
  }
}

template <typename T, typename Deliver>
void reduce(std::span<T* const> ranks, std::size_t n, ReduceOp op, Deliver&& deliver) {
  switch (op) {
    case ReduceOp::kSum:
      return for_each_block<Sum>(ranks, n, deliver);
    case ReduceOp::kMax:
      return for_each_block<Max>(ranks, n, deliver);
    case ReduceOp::kMin:
      return for_each_block<Min>(ranks, n, deliver);
  }
}

}  // namespace

template <typename T>
void tree_reduce(std::span<T* const> ranks, std::size_t n, ReduceOp op, T* out) {
  reduce(ranks, n, op,
         [&](std::size_t at, std::size_t size, const T* result) { std::memcpy(out + at, result, size * sizeof(T)); });
}

template <typename T>
void tree_reduce_in_place(std::span<T* const> ranks, std::size_t n, ReduceOp op) {
  reduce(ranks, n, op, [&](std::size_t at, std::size_t size, const T* result) {
    for (T* const rank : ranks) std::memcpy(rank + at, result, size * sizeof(T));
  });
}

template void tree_reduce(std::span<float* const>, std::size_t, ReduceOp, float*);
template void tree_reduce(std::span<double* const>, std::size_t, ReduceOp, double*);
template void tree_reduce(std::span<std::int64_t* const>, std::size_t, ReduceOp, std::int64_t*);
template void tree_reduce_in_place(std::span<float* const>, std::size_t, ReduceOp);
template void tree_reduce_in_place(std::span<double* const>, std::size_t, ReduceOp);
template void tree_reduce_in_place(std::span<std::int64_t* const>, std::size_t, ReduceOp);

}  // namespace stoa::parallel

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
    return ((a > b) | (a != a)) ? a : b;
  }
};

struct Min {
  template <typename T>
  static T of(T a, T b) {
    return ((a < b) | (a != a)) ? a : b;
  }
};

// out[i] = also[i] = a[i] op b[i]; `also` may be null. The arrays are one another or do not overlap.
template <typename Op, typename T>
[[gnu::always_inline]] inline void combine_loop(const T* a, const T* b, std::size_t n, T* out, T* also) {
  if (also == nullptr) {
#pragma GCC ivdep
    for (std::size_t i = 0; i < n; ++i) out[i] = Op::of(a[i], b[i]);
    return;
  }
#pragma GCC ivdep
  for (std::size_t i = 0; i < n; ++i) {
    const T result = Op::of(a[i], b[i]);
    out[i] = result;
    also[i] = result;
  }
}

#if defined(__x86_64__)
// Twice the speed in cache on processors that have it; additions alone, so the bits are the same.
template <typename Op, typename T>
[[gnu::target("avx2")]] void combine_avx2(const T* a, const T* b, std::size_t n, T* out, T* also) {
  combine_loop<Op>(a, b, n, out, also);
}
#endif

template <typename Op, typename T>
void combine(const T* a, const T* b, std::size_t n, T* out, T* also = nullptr) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") != 0) return combine_avx2<Op>(a, b, n, out, also);
#endif
  combine_loop<Op>(a, b, n, out, also);
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
    combine<Op>(out, ranks[left] + at, n, out);
    return;
  }
  reduce_block<Op>(ranks.subspan(left), at, n, open, open + kBlockBytes / sizeof(T));
  combine<Op>(out, open, n, out);
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

template <typename Op, typename T>
void reduce_to_all(std::span<T* const> ranks, std::size_t n) {
  // The usual case of two sockets needs no block between.
  if (ranks.size() == 2) return combine<Op, T>(ranks[0], ranks[1], n, ranks[0], ranks[1]);
  for_each_block<Op>(ranks, n, [&](std::size_t at, std::size_t size, const T* result) {
    for (T* const rank : ranks) std::memcpy(rank + at, result, size * sizeof(T));
  });
}

template <typename Op, typename T>
void reduce_to_one(std::span<T* const> ranks, std::size_t n, T* out) {
  for_each_block<Op>(ranks, n, [&](std::size_t at, std::size_t size, const T* result) {
    std::memcpy(out + at, result, size * sizeof(T));
  });
}

}  // namespace

template <typename T>
void tree_reduce(std::span<T* const> ranks, std::size_t n, ReduceOp op, T* out) {
  switch (op) {
    case ReduceOp::kSum:
      return reduce_to_one<Sum>(ranks, n, out);
    case ReduceOp::kMax:
      return reduce_to_one<Max>(ranks, n, out);
    case ReduceOp::kMin:
      return reduce_to_one<Min>(ranks, n, out);
  }
}

template <typename T>
void tree_reduce_in_place(std::span<T* const> ranks, std::size_t n, ReduceOp op) {
  switch (op) {
    case ReduceOp::kSum:
      return reduce_to_all<Sum>(ranks, n);
    case ReduceOp::kMax:
      return reduce_to_all<Max>(ranks, n);
    case ReduceOp::kMin:
      return reduce_to_all<Min>(ranks, n);
  }
}

template void tree_reduce(std::span<float* const>, std::size_t, ReduceOp, float*);
template void tree_reduce(std::span<double* const>, std::size_t, ReduceOp, double*);
template void tree_reduce(std::span<std::int64_t* const>, std::size_t, ReduceOp, std::int64_t*);
template void tree_reduce_in_place(std::span<float* const>, std::size_t, ReduceOp);
template void tree_reduce_in_place(std::span<double* const>, std::size_t, ReduceOp);
template void tree_reduce_in_place(std::span<std::int64_t* const>, std::size_t, ReduceOp);

}  // namespace stoa::parallel

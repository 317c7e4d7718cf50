#pragma once
/// Values that show a wrong order of additions: magnitudes far apart, both signs, subnormals, zeros of both signs.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <vector>

#include "stoa/parallel/tree_order.h"

namespace stoa::parallel {

inline std::uint64_t scramble(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

/// Element i of the array that `rank` brings.
template <typename T>
T rank_value(int rank, std::size_t i) {
  const std::uint64_t bits = scramble(i * 1000 + static_cast<std::uint64_t>(rank) + 1);
  if (i % 29 == 7) return bits % 2 == 0 ? T{0} : -T{0};
  if constexpr (std::is_integral_v<T>) return static_cast<T>(bits >> 8) - (T{1} << 54);
  if (i % 31 == 3) return static_cast<T>(static_cast<double>(bits % 1000)) * std::numeric_limits<T>::denorm_min();
  const double fraction = 1 + static_cast<double>(bits >> 12) * 0x1p-52;
  return static_cast<T>(std::ldexp(bits % 2 == 0 ? fraction : -fraction, static_cast<int>(bits / 2 % 60) - 30));
}

template <typename T>
std::vector<T> rank_values(int rank, std::size_t n) {
  std::vector<T> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = rank_value<T>(rank, i);
  return values;
}

/// The specification: elements [begin, begin + size) summed over ranks along the tree.
template <typename T>
std::vector<T> tree_sums(int ranks, std::size_t begin, std::size_t size) {
  std::vector<T> sums(size);
  std::vector<T> leaves(static_cast<std::size_t>(ranks));
  for (std::size_t i = 0; i < sums.size(); ++i) {
    for (int rank = 0; rank < ranks; ++rank) leaves[static_cast<std::size_t>(rank)] = rank_value<T>(rank, begin + i);
    for_each_tree_sum(0, leaves.size(), [&](std::size_t left, std::size_t right) { leaves[left] += leaves[right]; });
    sums[i] = leaves[0];
  }
  return sums;
}

template <typename T>
std::vector<T> tree_sums(int ranks, std::size_t n) {
  return tree_sums<T>(ranks, 0, n);
}

/// The first index at which two arrays differ in a bit; their size when they do not.
template <typename Left, typename Right>
std::size_t first_difference(const Left& a, const Right& b) {
  for (std::size_t i = 0; i < a.size(); ++i)
    if (std::memcmp(&a[i], &b[i], sizeof a[i]) != 0) return i;
  return a.size();
}

}  // namespace stoa::parallel

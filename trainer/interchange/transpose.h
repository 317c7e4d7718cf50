#pragma once
/// Transposing between tables in memory, by tiles that fit the cache and squares that fit registers.
#include <algorithm>
#include <cstdint>
#include <cstring>

namespace stoa::trainer {

/// A row-major table inside a larger one: `stride` elements from row to row.
struct TableView {
  const float* values;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t stride;
};

/// Four rows of four, in the vectors that every x86-64 and AArch64 has.
inline void transpose_square(const float* from, std::int64_t from_stride, float* to, std::int64_t to_stride) {
  using Four = float __attribute__((vector_size(16)));
  Four row[4];
  for (int r = 0; r < 4; ++r) std::memcpy(&row[r], from + r * from_stride, sizeof row[r]);
  const Four low_01 = __builtin_shufflevector(row[0], row[1], 0, 4, 1, 5);
  const Four high_01 = __builtin_shufflevector(row[0], row[1], 2, 6, 3, 7);
  const Four low_23 = __builtin_shufflevector(row[2], row[3], 0, 4, 1, 5);
  const Four high_23 = __builtin_shufflevector(row[2], row[3], 2, 6, 3, 7);
  const Four column[4] = {
      __builtin_shufflevector(low_01, low_23, 0, 1, 4, 5), __builtin_shufflevector(low_01, low_23, 2, 3, 6, 7),
      __builtin_shufflevector(high_01, high_23, 0, 1, 4, 5), __builtin_shufflevector(high_01, high_23, 2, 3, 6, 7)};
  for (int c = 0; c < 4; ++c) std::memcpy(to + c * to_stride, &column[c], sizeof column[c]);
}

/// to[c * to_stride + r] = from(r, c)
inline void transpose(const TableView& from, float* to, std::int64_t to_stride) {
  constexpr std::int64_t kTile = 32;
  for (std::int64_t r0 = 0; r0 < from.rows; r0 += kTile)
    for (std::int64_t c0 = 0; c0 < from.columns; c0 += kTile) {
      const std::int64_t r1 = std::min(r0 + kTile, from.rows), c1 = std::min(c0 + kTile, from.columns);
      const std::int64_t r_squares = r0 + (r1 - r0) / 4 * 4, c_squares = c0 + (c1 - c0) / 4 * 4;
      for (std::int64_t c = c0; c < c_squares; c += 4)
        for (std::int64_t r = r0; r < r_squares; r += 4)
          transpose_square(from.values + r * from.stride + c, from.stride, to + c * to_stride + r, to_stride);
      for (std::int64_t c = c0; c < c1; ++c)
        for (std::int64_t r = c < c_squares ? r_squares : r0; r < r1; ++r)
          to[c * to_stride + r] = from.values[r * from.stride + c];
    }
}

}  // namespace stoa::trainer

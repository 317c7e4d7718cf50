#pragma once
/// Transposing between tables in memory, by tiles that fit the cache.
#include <algorithm>
#include <cstdint>

namespace stoa::trainer {

/// A row-major table inside a larger one: `stride` elements from row to row.
struct TableView {
  const float* values;
  std::int64_t rows;
  std::int64_t columns;
  std::int64_t stride;
};

/// to[c * to_stride + r] = from(r, c)
inline void transpose(const TableView& from, float* to, std::int64_t to_stride) {
  constexpr std::int64_t kTile = 32;
  for (std::int64_t r0 = 0; r0 < from.rows; r0 += kTile)
    for (std::int64_t c0 = 0; c0 < from.columns; c0 += kTile)
      for (std::int64_t c = c0; c < std::min(c0 + kTile, from.columns); ++c)
        for (std::int64_t r = r0; r < std::min(r0 + kTile, from.rows); ++r)
          to[c * to_stride + r] = from.values[r * from.stride + c];
}

}  // namespace stoa::trainer

#pragma once
/// Where the heads of queries, keys or values stand in the fused projection output qkv_nc, C = (H + 2K) * E columns:
/// H query heads, then K key heads, then K value heads.
#include <cstdint>

namespace stoa::trainer {

struct HeadColumns {
  std::int64_t rows = 0;        ///< N tokens
  std::int64_t row_stride = 0;  ///< C
  std::int64_t first_column = 0;
  std::int64_t heads = 0;
  std::int64_t head_width = 0;  ///< E
};

}  // namespace stoa::trainer

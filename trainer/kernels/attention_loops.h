#pragma once
/// Inner loops of attention over one document: one head (forward), one key-value head with its group of query heads
/// (backward); one query of a generation (cached). Meaning of the names: attention.h.
#include <cstdint>

#include "stoa/trainer/kernels/typed_loops.h"

namespace stoa::trainer::cpu {

/// Queries and keys are taken in tiles of so many rows.
constexpr std::int64_t kAttentionTile = 64;

/// Which probabilities are dropped, for one document and head; see AttentionDropout.
struct AttentionMask {
  float rate = 0;
  std::uint32_t key_low = 0;
  std::uint32_t key_high = 0;
  std::uint64_t step = 0;
  std::uint64_t first_block = 0;  ///< of the document's first query and the sample's first key
  std::uint64_t blocks_per_row = 0;
  std::int64_t first_key = 0;  ///< of the document, in its sample
};

template <typename T>
struct AttentionForwardHead {
  const T* q;
  const T* k;
  const T* v;
  T* o;
  float* lse;
  std::int64_t qkv_stride;
  std::int64_t o_stride;
  std::int64_t tokens;
  std::int64_t head_width;
  AttentionMask mask;
};

/// Pointers are those of the group's first query head; the next head stands head_width columns (q, o) or head_rows
/// (lse, rows of the mask) on.
template <typename T>
struct AttentionBackwardGroup {
  const T* q;
  const T* k;
  const T* v;
  const T* o;
  const T* d_o;
  const float* lse;
  T* dq;
  T* dk;
  T* dv;
  std::int64_t qkv_stride;
  std::int64_t o_stride;
  std::int64_t tokens;
  std::int64_t head_width;
  std::int64_t query_heads;
  std::int64_t head_rows;  ///< tokens of the whole sample
  AttentionMask mask;
};

template <typename T>
struct AttentionCachedQuery {
  const T* q;
  const T* k;
  const T* v;
  T* o;
  std::int64_t cache_stride;
  std::int64_t keys;
  std::int64_t head_width;
};

template <typename T>
struct AttentionLoops {
  void (*forward)(const AttentionForwardHead<T>& head, float* scratch);
  void (*backward)(const AttentionBackwardGroup<T>& group, float* scratch);
  void (*cached)(const AttentionCachedQuery<T>& query, float* scratch);
};

static inline std::int64_t attention_tiles(std::int64_t tokens) {
  return (tokens + kAttentionTile - 1) / kAttentionTile;
}
/// Columns of a packed row: a whole number of the widest vectors.
static inline std::int64_t attention_padded_width(std::int64_t head_width) { return (head_width + 15) / 16 * 16; }

/// Floats of scratch that the loops carve; see Scratch in attention_loops.cc.
static inline std::int64_t attention_forward_floats(std::int64_t tokens, std::int64_t head_width) {
  const std::int64_t width = attention_padded_width(head_width);
  return kAttentionTile * (2 * attention_tiles(tokens) * width + 2 * width + kAttentionTile + 2);
}
static inline std::int64_t attention_backward_floats(std::int64_t tokens, std::int64_t head_width) {
  const std::int64_t width = attention_padded_width(head_width);
  return kAttentionTile * (5 * attention_tiles(tokens) * width + 3 * width + 3 * kAttentionTile + 2);
}
static inline std::int64_t attention_cached_floats(std::int64_t keys, std::int64_t head_width) {
  return keys + 2 * head_width;
}

namespace plain {
extern const TypedLoops<AttentionLoops> attention_loops;
}
namespace avx2 {
extern const TypedLoops<AttentionLoops> attention_loops;
}
namespace avx512 {
extern const TypedLoops<AttentionLoops> attention_loops;
}

}  // namespace stoa::trainer::cpu

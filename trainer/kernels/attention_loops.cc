#include "stoa/trainer/kernels/attention_loops.h"

#include "stoa/trainer/kernels/cpu_math.h"
#include "stoa/trainer/kernels/cpu_tile.h"
#include "stoa/trainer/kernels/loop_values.h"

namespace stoa::trainer::cpu::STOA_ISA {
namespace {

constexpr std::int64_t kTile = kAttentionTile;
constexpr float kMasked = -3e38F;

/// Carves one piece of memory; the sizes are those of attention_*_floats.
struct Scratch {
  float* next;
  float* take(std::int64_t count) {
    float* taken = next;
    next += count;
    return taken;
  }
};

std::int64_t tile_rows(std::int64_t first, std::int64_t tokens) {
  return first + kTile < tokens ? kTile : tokens - first;
}

/// rows x head_width of x to fp32 rows of `width` columns, scaled; padding is zero.
template <typename T>
void pack_rows(const T* x, std::int64_t stride, std::int64_t rows, std::int64_t head_width, std::int64_t width,
               float scale, float* packed) {
  for (std::int64_t r = 0; r < rows; ++r, x += stride, packed += width) {
#pragma omp simd
    for (std::int64_t e = 0; e < head_width; ++e) packed[e] = load(x, e) * scale;
    for (std::int64_t e = head_width; e < width; ++e) packed[e] = 0;
  }
}

/// Columns of a tile of scores that are computed where it has so many keys: a whole number of the widest vectors.
std::int64_t tile_columns_of(std::int64_t keys) { return (keys + 15) / 16 * 16; }

/// All rows in tiles [head_width][kTile], so that a vector holds one column of kLanes keys. Keys past the end are zero
/// as far as columns are computed.
template <typename T>
void pack_transposed(const T* x, std::int64_t stride, std::int64_t tokens, std::int64_t head_width, std::int64_t width,
                     float* packed) {
  for (std::int64_t first = 0; first < tokens; first += kTile, packed += width * kTile) {
    const std::int64_t rows = tile_rows(first, tokens);
    for (std::int64_t e = 0; e < head_width; ++e)
      for (std::int64_t r = rows; r < tile_columns_of(rows); ++r) packed[e * kTile + r] = 0;
    for (std::int64_t r = 0; r < rows; ++r)
      for (std::int64_t e = 0; e < head_width; ++e) packed[e * kTile + r] = load(x + (first + r) * stride, e);
  }
}

void zero(float* x, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) x[i] = 0;
}

/// The keys after the query, in the one tile where both meet, and the columns that were not computed.
void mask_future(float* scores, std::int64_t rows) {
  for (std::int64_t i = 0; i < rows; ++i)
    for (std::int64_t j = i + 1; j < kTile; ++j) scores[i * kTile + j] = kMasked;
}

/// 0 or 1 / (1 - rate) for the four numbers of each of kBlocks blocks: Philox4x32-10 as in philox.h, side by side.
template <int kBlocks>
void dropout_blocks(const AttentionMask& mask, std::uint64_t first, float* factors) {
  const auto step_low = static_cast<std::uint32_t>(mask.step);
  const auto step_high = static_cast<std::uint32_t>(mask.step >> 32);
  const float kept = 1.0F / (1.0F - mask.rate);
  std::uint32_t words[4][kBlocks];
#pragma omp simd
  for (int b = 0; b < kBlocks; ++b) {
    const std::uint64_t index = first + static_cast<std::uint64_t>(b);
    auto c0 = static_cast<std::uint32_t>(index);
    auto c1 = static_cast<std::uint32_t>(index >> 32);
    std::uint32_t c2 = step_low;
    std::uint32_t c3 = step_high;
    std::uint32_t low = mask.key_low;
    std::uint32_t high = mask.key_high;
#pragma GCC unroll 10
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * c0;
      const std::uint64_t product1 = std::uint64_t{0xCD9E8D57U} * c2;
      c0 = static_cast<std::uint32_t>(product1 >> 32) ^ c1 ^ low;
      c1 = static_cast<std::uint32_t>(product1);
      c2 = static_cast<std::uint32_t>(product0 >> 32) ^ c3 ^ high;
      c3 = static_cast<std::uint32_t>(product0);
      low += 0x9E3779B9U;
      high += 0xBB67AE85U;
    }
    words[0][b] = c0;
    words[1][b] = c1;
    words[2][b] = c2;
    words[3][b] = c3;
  }
  for (int b = 0; b < kBlocks; ++b)
    for (int lane = 0; lane < 4; ++lane)
      factors[4 * b + lane] = static_cast<float>(words[lane][b] >> 8) * 0x1p-24F >= mask.rate ? kept : 0.0F;
}

/// Those of the kTile keys from first_key of one query, both counted in the document.
void dropout_factors(const AttentionMask& mask, std::int64_t query, std::int64_t first_key, float* factors) {
  constexpr int kBlocks = kTile / 4;
  const std::int64_t key = mask.first_key + first_key;
  const std::uint64_t first =
      mask.first_block + static_cast<std::uint64_t>(query) * mask.blocks_per_row + static_cast<std::uint64_t>(key / 4);
  if (key % 4 == 0) {
    dropout_blocks<kBlocks>(mask, first, factors);
    return;
  }
  float whole_blocks[kTile + 4];
  dropout_blocks<kBlocks>(mask, first, whole_blocks);
  dropout_blocks<1>(mask, first + kBlocks, whole_blocks + kTile);
  for (std::int64_t j = 0; j < kTile; ++j) factors[j] = whole_blocks[key % 4 + j];
}

void multiply_by(const float* factors, float* x) {
#pragma omp simd
  for (std::int64_t j = 0; j < kTile; ++j) x[j] *= factors[j];
}

/// The running softmax of FlashAttention for the rows of one query tile.
struct RunningSoftmax {
  float* largest;
  float* total;
  float* o;
  std::int64_t width;

  void start(std::int64_t rows) const {
    for (std::int64_t i = 0; i < rows; ++i) {
      largest[i] = kMasked;
      total[i] = 0;
    }
    zero(o, rows * width);
  }

  /// Scores of row i become exponentials; what was summed before is brought to the new largest score.
  void add_row(std::int64_t i, float* scores) const {
    float top = largest[i];
#pragma omp simd reduction(max : top)
    for (std::int64_t j = 0; j < kTile; ++j) top = scores[j] > top ? scores[j] : top;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t j = 0; j < kTile; ++j) {
      scores[j] = fast_exp(scores[j] - top);
      sum += scores[j];
    }
    if (top != largest[i]) {
      const float shrink = fast_exp(largest[i] - top);
      total[i] *= shrink;
      float* row = o + i * width;
#pragma omp simd
      for (std::int64_t e = 0; e < width; ++e) row[e] *= shrink;
    }
    total[i] += sum;
    largest[i] = top;
  }
};

template <typename T>
void forward(const AttentionForwardHead<T>& head, float* memory) {
  const std::int64_t tokens = head.tokens;
  const std::int64_t head_width = head.head_width;
  const std::int64_t width = attention_padded_width(head_width);
  const std::int64_t padded = attention_tiles(tokens) * kTile;
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(head_width));
  Scratch scratch{memory};
  float* keys = scratch.take(padded * width);
  float* values = scratch.take(padded * width);
  float* q = scratch.take(kTile * width);
  float* scores = scratch.take(kTile * kTile);
  float* o = scratch.take(kTile * width);
  float* largest = scratch.take(kTile);
  const RunningSoftmax softmax{largest, scratch.take(kTile), o, width};
  pack_transposed(head.k, head.qkv_stride, tokens, head_width, width, keys);
  pack_rows(head.v, head.qkv_stride, tokens, head_width, width, 1.0F, values);

  for (std::int64_t t = 0; t < tokens; t += kTile) {
    const std::int64_t rows = tile_rows(t, tokens);
    pack_rows(head.q + t * head.qkv_stride, head.qkv_stride, rows, head_width, width, scale, q);
    softmax.start(rows);
    for (std::int64_t s = 0; s <= t; s += kTile) {
      const std::int64_t columns = tile_columns_of(tile_rows(s, tokens));
      multiply_tile<TileResult::kWritten>(
          {q, width, 1, keys + s * width, kTile, scores, kTile, rows, columns, head_width});
      if (s == t) mask_future(scores, rows);
      for (std::int64_t i = 0; i < rows; ++i) softmax.add_row(i, scores + i * kTile);
      if (head.mask.rate > 0) {
        float factors[kTile];
        for (std::int64_t i = 0; i < rows; ++i) {
          dropout_factors(head.mask, t + i, s, factors);
          multiply_by(factors, scores + i * kTile);
        }
      }
      multiply_tile<TileResult::kAdded>(
          {scores, kTile, 1, values + s * width, width, o, width, rows, width, tile_rows(s, tokens)});
    }
    for (std::int64_t i = 0; i < rows; ++i) {
      T* row = head.o + (t + i) * head.o_stride;
      const float inverse = 1.0F / softmax.total[i];
#pragma omp simd
      for (std::int64_t e = 0; e < head_width; ++e) store(row, e, o[i * width + e] * inverse);
      head.lse[t + i] = largest[i] + __builtin_logf(softmax.total[i]);
    }
  }
}

/// One row of a tile: scores become dropped probabilities, d_scores (so far dO V^T) the gradient of the scores.
void backward_row(float lse, float d_dot_o, const float* factors, float* scores, float* d_scores) {
  if (factors == nullptr) {
#pragma omp simd
    for (std::int64_t j = 0; j < kTile; ++j) {
      scores[j] = fast_exp(scores[j] - lse);
      d_scores[j] = scores[j] * (d_scores[j] - d_dot_o);
    }
    return;
  }
#pragma omp simd
  for (std::int64_t j = 0; j < kTile; ++j) {
    const float probability = fast_exp(scores[j] - lse);
    d_scores[j] = probability * (factors[j] * d_scores[j] - d_dot_o);
    scores[j] = factors[j] * probability;
  }
}

/// What the query heads of a group share, packed once, and the sums over them.
struct GroupPanels {
  float* keys_transposed;
  float* values_transposed;
  float* keys;
  float* dk;
  float* dv;
};

struct QueryTile {
  float* q;
  float* d_o;
  float* dq;
  float* scores;
  float* d_scores;
  float* d_dot_o;
};

template <typename T>
void load_query_tile(const AttentionBackwardGroup<T>& group, std::int64_t head, std::int64_t t, std::int64_t rows,
                     std::int64_t width, float scale, const QueryTile& tile) {
  const std::int64_t column = head * group.head_width;
  const T* d_o = group.d_o + t * group.o_stride + column;
  const T* o = group.o + t * group.o_stride + column;
  pack_rows(group.q + t * group.qkv_stride + column, group.qkv_stride, rows, group.head_width, width, scale, tile.q);
  pack_rows(d_o, group.o_stride, rows, group.head_width, width, 1.0F, tile.d_o);
  for (std::int64_t i = 0; i < rows; ++i) {
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t e = 0; e < group.head_width; ++e)
      sum += load(d_o + i * group.o_stride, e) * load(o + i * group.o_stride, e);
    tile.d_dot_o[i] = sum;
  }
  zero(tile.dq, rows * width);
}

template <typename T>
void backward_tile(const AttentionBackwardGroup<T>& group, std::int64_t head, std::int64_t t, std::int64_t s,
                   const GroupPanels& panels, const QueryTile& tile) {
  const std::int64_t width = attention_padded_width(group.head_width);
  const std::int64_t rows = tile_rows(t, group.tokens);
  const std::int64_t keys = tile_rows(s, group.tokens);
  AttentionMask mask = group.mask;
  mask.first_block += static_cast<std::uint64_t>(head * group.head_rows) * mask.blocks_per_row;
  const std::int64_t columns = tile_columns_of(keys);
  multiply_tile<TileResult::kWritten>({tile.q, width, 1, panels.keys_transposed + s * width, kTile, tile.scores, kTile,
                                       rows, columns, group.head_width});
  multiply_tile<TileResult::kWritten>({tile.d_o, width, 1, panels.values_transposed + s * width, kTile, tile.d_scores,
                                       kTile, rows, columns, group.head_width});
  if (s == t) mask_future(tile.scores, rows);
  for (std::int64_t i = 0; i < rows; ++i) {
    float factors[kTile];
    if (mask.rate > 0) dropout_factors(mask, t + i, s, factors);
    backward_row(group.lse[head * group.head_rows + t + i], tile.d_dot_o[i], mask.rate > 0 ? factors : nullptr,
                 tile.scores + i * kTile, tile.d_scores + i * kTile);
  }
  multiply_tile<TileResult::kAdded>(
      {tile.scores, 1, kTile, tile.d_o, width, panels.dv + s * width, width, keys, width, rows});
  multiply_tile<TileResult::kAdded>(
      {tile.d_scores, 1, kTile, tile.q, width, panels.dk + s * width, width, keys, width, rows});
  multiply_tile<TileResult::kAdded>(
      {tile.d_scores, kTile, 1, panels.keys + s * width, width, tile.dq, width, rows, width, keys});
}

template <typename T>
void store_rows(const float* x, std::int64_t width, std::int64_t rows, std::int64_t head_width, float scale, T* y,
                std::int64_t stride) {
  for (std::int64_t r = 0; r < rows; ++r, x += width, y += stride) {
#pragma omp simd
    for (std::int64_t e = 0; e < head_width; ++e) store(y, e, x[e] * scale);
  }
}

template <typename T>
void backward(const AttentionBackwardGroup<T>& group, float* memory) {
  const std::int64_t tokens = group.tokens;
  const std::int64_t width = attention_padded_width(group.head_width);
  const std::int64_t panel = attention_tiles(tokens) * kTile * width;
  const float scale = 1.0F / __builtin_sqrtf(static_cast<float>(group.head_width));
  Scratch scratch{memory};
  const GroupPanels panels{scratch.take(panel), scratch.take(panel), scratch.take(panel), scratch.take(panel),
                           scratch.take(panel)};
  const QueryTile tile{scratch.take(kTile * width), scratch.take(kTile * width), scratch.take(kTile * width),
                       scratch.take(kTile * kTile), scratch.take(kTile * kTile), scratch.take(kTile)};
  pack_transposed(group.k, group.qkv_stride, tokens, group.head_width, width, panels.keys_transposed);
  pack_transposed(group.v, group.qkv_stride, tokens, group.head_width, width, panels.values_transposed);
  pack_rows(group.k, group.qkv_stride, tokens, group.head_width, width, 1.0F, panels.keys);
  zero(panels.dk, tokens * width);
  zero(panels.dv, tokens * width);

  for (std::int64_t head = 0; head < group.query_heads; ++head) {
    for (std::int64_t t = 0; t < tokens; t += kTile) {
      const std::int64_t rows = tile_rows(t, tokens);
      load_query_tile(group, head, t, rows, width, scale, tile);
      for (std::int64_t s = 0; s <= t; s += kTile) backward_tile(group, head, t, s, panels, tile);
      store_rows(tile.dq, width, rows, group.head_width, scale,
                 group.dq + t * group.qkv_stride + head * group.head_width, group.qkv_stride);
    }
  }
  store_rows(panels.dk, width, tokens, group.head_width, 1.0F, group.dk, group.qkv_stride);
  store_rows(panels.dv, width, tokens, group.head_width, 1.0F, group.dv, group.qkv_stride);
}

template <typename T>
void cached(const AttentionCachedQuery<T>& query, float* memory) {
  const std::int64_t head_width = query.head_width;
  Scratch scratch{memory};
  float* q = scratch.take(head_width);
  float* o = scratch.take(head_width);
  float* scores = scratch.take(query.keys);
  pack_rows(query.q, 0, 1, head_width, head_width, 1.0F / __builtin_sqrtf(static_cast<float>(head_width)), q);
  zero(o, head_width);
  float top = kMasked;
  for (std::int64_t s = 0; s < query.keys; ++s) {
    const T* key = query.k + s * query.cache_stride;
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (std::int64_t e = 0; e < head_width; ++e) sum += q[e] * load(key, e);
    scores[s] = sum;
    top = sum > top ? sum : top;
  }
  float total = 0;
#pragma omp simd reduction(+ : total)
  for (std::int64_t s = 0; s < query.keys; ++s) {
    scores[s] = fast_exp(scores[s] - top);
    total += scores[s];
  }
  for (std::int64_t s = 0; s < query.keys; ++s) {
    const T* value = query.v + s * query.cache_stride;
    const float probability = scores[s];
#pragma omp simd
    for (std::int64_t e = 0; e < head_width; ++e) o[e] += probability * load(value, e);
  }
  store_rows(o, head_width, 1, head_width, 1.0F / total, query.o, 0);
}

}  // namespace

const TypedLoops<AttentionLoops> attention_loops = {
    {&forward<float>, &backward<float>, &cached<float>},
    {&forward<bf16>, &backward<bf16>, &cached<bf16>},
};

}  // namespace stoa::trainer::cpu::STOA_ISA

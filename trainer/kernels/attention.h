#pragma once
/// Causal attention in tiles with the running softmax of FlashAttention (arXiv 2205.14135, 2307.08691): no T x T matrix
/// in memory. Grouped queries (arXiv 2305.13245): query head h reads key-value head h / (H / K).
///
/// B samples, T tokens, H query heads, K key-value heads, E head width, C = (H + 2K) * E columns of qkv (see heads.h).
/// o_bthe has H * E columns. Scores are scaled by 1 / sqrt(E). Sums are fp32. Work is cut by (sample, head): the bits
/// do not depend on the number of threads.
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/kernels/philox.h"

namespace stoa::trainer {

struct AttentionShape {
  std::int64_t samples = 0;          ///< B
  std::int64_t tokens = 0;           ///< T
  std::int64_t heads = 0;            ///< H
  std::int64_t key_value_heads = 0;  ///< K
  std::int64_t head_width = 0;       ///< E
  std::int64_t columns() const { return (heads + 2 * key_value_heads) * head_width; }
};

/// Dropout of attention probabilities. The mask of (sample, head, query t, key s) is a function of the key, the step
/// and the global sample and head numbers alone: with row = (sample * heads_total + head) * T + t, sample counted from
/// first_sample and head from first_head, it is number s % 4 of philox_block(key, row * ceil(T / 4) + s / 4, step);
/// kept, and divided by 1 - rate, where uniform_float of it is at least rate. Ranks that cut the heads so draw the
/// masks of the whole. rate 0: none.
struct AttentionDropout {
  float rate = 0;
  PhiloxKey key;
  std::uint64_t step = 0;
  std::int64_t first_sample = 0;  ///< global number (in the step's batch) of sample 0
  std::int64_t first_head = 0;    ///< number in the model's layer of the call's query head 0
  std::int64_t heads_total = 0;   ///< query heads of the model's layer; 0: those of the call are all
};

/// Query t of sample b reads the keys begin_bt[b, t] .. t: those of its own document; empty: 0 .. t. REQUIRES: begin_bt
/// is 0 for t = 0, and then t (a document begins) or what it is for t - 1 (the document goes on).
/// Each document is computed as if it stood alone: with the bits, and without dropout in the time, of a sample of its
/// length, so that packed documents cost the sum of their lengths squared.
/// lse_bht: log of the sum of exponentials of the scaled scores of each row, kept for the backward pass.
template <typename T>
void attention_forward(cpu::Queue& queue, const AttentionShape& shape, std::span<const T> qkv_btc,
                       std::span<const std::int32_t> begin_bt, const AttentionDropout& dropout, std::span<T> o_bthe,
                       std::span<float> lse_bht);

/// dqkv_btc is written whole; begin_bt and dropout are those of the forward pass. workspace:
/// attention_workspace_floats(shape, queue.threads()).
template <typename T>
void attention_backward(cpu::Queue& queue, const AttentionShape& shape, std::span<const T> qkv_btc,
                        std::span<const T> o_bthe, std::span<const T> do_bthe, std::span<const float> lse_bht,
                        std::span<const std::int32_t> begin_bt, const AttentionDropout& dropout, std::span<T> dqkv_btc,
                        std::span<float> workspace);

std::size_t attention_workspace_floats(const AttentionShape& shape, int threads);

/// Generation: `new_tokens` queries at positions first_position.. of one sample read the cached keys and values of
/// positions 0 .. own position. Cache layout: [position, K, E]. qkv_tc has new_tokens rows; their keys and values are
/// already in the cache. o_the: new_tokens rows of H * E.
template <typename T>
void attention_cached(cpu::Queue& queue, const AttentionShape& shape, std::int64_t first_position,
                      std::span<const T> qkv_tc, std::span<const T> key_cache, std::span<const T> value_cache,
                      std::span<T> o_the);

}  // namespace stoa::trainer

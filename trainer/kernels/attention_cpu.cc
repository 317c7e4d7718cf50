#include <memory>
#include <vector>

#include "stoa/trainer/kernels/attention.h"
#include "stoa/trainer/kernels/attention_loops.h"
#include "stoa/trainer/kernels/cpu_select.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kAlignedFloats = 16;  // one cache line

template <typename T>
const cpu::AttentionLoops<T>& loops_of(const cpu::Queue& queue) {
  return cpu::select_loops(queue.isa(), cpu::plain::attention_loops, cpu::avx2::attention_loops,
                           cpu::avx512::attention_loops)
      .template of<T>();
}

float* aligned(std::span<float> memory) {
  void* address = memory.data();
  std::size_t space = memory.size_bytes();
  return static_cast<float*>(std::align(kAlignedFloats * sizeof(float), sizeof(float), address, space));
}

/// The calling thread's own; grows once.
float* thread_scratch(std::int64_t count) {
  thread_local std::vector<float> memory;
  const std::size_t needed = static_cast<std::size_t>(count) + kAlignedFloats;
  if (memory.size() < needed) memory.resize(needed);
  return aligned(memory);
}

/// The tokens first .. first + tokens - 1 of a sample, which attend to one another only.
struct Document {
  std::int64_t sample;
  std::int64_t first;
  std::int64_t tokens;
};

template <typename Body>
void for_each_document(const AttentionShape& shape, std::span<const std::int32_t> begin_bt, const Body& body) {
  for (std::int64_t sample = 0; sample < shape.samples; ++sample) {
    if (begin_bt.empty()) {
      body(Document{sample, 0, shape.tokens});
      continue;
    }
    const std::int32_t* begin_t = begin_bt.data() + sample * shape.tokens;
    for (std::int64_t first = 0, end = 0; first < shape.tokens; first = end) {
      while (end < shape.tokens && begin_t[end] == begin_t[first]) ++end;
      body(Document{sample, first, end - first});
    }
  }
}

/// The heads of a document in items begin .. end - 1, where item = head * B + sample: samples differ in work by their
/// documents, so a thread's run of items is a share of each. A document's heads, whose memory is interleaved, are taken
/// one after the other.
template <typename Body>
void for_each_head(const AttentionShape& shape, const Document& document, std::int64_t begin, std::int64_t end,
                   const Body& body) {
  std::int64_t head = (begin - document.sample + shape.samples - 1) / shape.samples;
  for (; head * shape.samples + document.sample < end; ++head) body(head);
}

cpu::AttentionMask mask_of(const AttentionDropout& dropout, const AttentionShape& shape, const Document& document,
                           std::int64_t head) {
  const std::int64_t blocks_per_row = (shape.tokens + 3) / 4;
  const std::int64_t sample = dropout.first_sample + document.sample;
  const std::int64_t heads = dropout.heads_total > 0 ? dropout.heads_total : shape.heads;
  const std::int64_t row = (sample * heads + dropout.first_head + head) * shape.tokens + document.first;
  return {.rate = dropout.rate,
          .key_low = dropout.key.low,
          .key_high = dropout.key.high,
          .step = dropout.step,
          .first_block = static_cast<std::uint64_t>(row * blocks_per_row),
          .blocks_per_row = static_cast<std::uint64_t>(blocks_per_row),
          .first_key = document.first};
}

/// Columns of qkv where key head 0 and value head 0 begin.
std::int64_t key_column(const AttentionShape& shape) { return shape.heads * shape.head_width; }
std::int64_t value_column(const AttentionShape& shape) {
  return (shape.heads + shape.key_value_heads) * shape.head_width;
}

std::size_t thread_workspace_floats(const AttentionShape& shape) {
  const auto floats = static_cast<std::size_t>(cpu::attention_backward_floats(shape.tokens, shape.head_width));
  return (floats + kAlignedFloats - 1) / kAlignedFloats * kAlignedFloats;
}

}  // namespace

template <typename T>
void attention_forward(cpu::Queue& queue, const AttentionShape& shape, std::span<const T> qkv_btc,
                       std::span<const std::int32_t> begin_bt, const AttentionDropout& dropout, std::span<T> o_bthe,
                       std::span<float> lse_bht) {
  const cpu::AttentionLoops<T>& loops = loops_of<T>(queue);
  const std::int64_t group = shape.heads / shape.key_value_heads;
  const std::int64_t o_stride = shape.heads * shape.head_width;
  const auto forward_of = [&](const Document& document, std::int64_t head, float* scratch) {
    const std::int64_t key_value = head / group * shape.head_width;
    const std::int64_t row = document.sample * shape.tokens + document.first;
    const T* qkv = qkv_btc.data() + row * shape.columns();
    loops.forward({.q = qkv + head * shape.head_width,
                   .k = qkv + key_column(shape) + key_value,
                   .v = qkv + value_column(shape) + key_value,
                   .o = o_bthe.data() + row * o_stride + head * shape.head_width,
                   .lse = lse_bht.data() + (document.sample * shape.heads + head) * shape.tokens + document.first,
                   .qkv_stride = shape.columns(),
                   .o_stride = o_stride,
                   .tokens = document.tokens,
                   .head_width = shape.head_width,
                   .mask = mask_of(dropout, shape, document, head)},
                  scratch);
  };
  queue.parallel_for(shape.samples * shape.heads, 1, [&](std::int64_t begin, std::int64_t end) {
    float* scratch = thread_scratch(cpu::attention_forward_floats(shape.tokens, shape.head_width));
    for_each_document(shape, begin_bt, [&](const Document& document) {
      for_each_head(shape, document, begin, end, [&](std::int64_t head) { forward_of(document, head, scratch); });
    });
  });
}

template <typename T>
void attention_backward(cpu::Queue& queue, const AttentionShape& shape, std::span<const T> qkv_btc,
                        std::span<const T> o_bthe, std::span<const T> do_bthe, std::span<const float> lse_bht,
                        std::span<const std::int32_t> begin_bt, const AttentionDropout& dropout, std::span<T> dqkv_btc,
                        std::span<float> workspace) {
  const cpu::AttentionLoops<T>& loops = loops_of<T>(queue);
  const std::int64_t group = shape.heads / shape.key_value_heads;
  const std::int64_t items = shape.samples * shape.key_value_heads;
  const std::int64_t workers = queue.threads();
  const std::int64_t o_stride = shape.heads * shape.head_width;
  float* memory = aligned(workspace);
  const auto backward_of = [&](const Document& document, std::int64_t key_value_head, float* scratch) {
    const std::int64_t head = key_value_head * group;
    const std::int64_t row = document.sample * shape.tokens + document.first;
    const std::int64_t q = row * shape.columns() + head * shape.head_width;
    const std::int64_t k = row * shape.columns() + key_column(shape) + key_value_head * shape.head_width;
    const std::int64_t v = row * shape.columns() + value_column(shape) + key_value_head * shape.head_width;
    const std::int64_t o = row * o_stride + head * shape.head_width;
    loops.backward({.q = qkv_btc.data() + q,
                    .k = qkv_btc.data() + k,
                    .v = qkv_btc.data() + v,
                    .o = o_bthe.data() + o,
                    .d_o = do_bthe.data() + o,
                    .lse = lse_bht.data() + (document.sample * shape.heads + head) * shape.tokens + document.first,
                    .dq = dqkv_btc.data() + q,
                    .dk = dqkv_btc.data() + k,
                    .dv = dqkv_btc.data() + v,
                    .qkv_stride = shape.columns(),
                    .o_stride = o_stride,
                    .tokens = document.tokens,
                    .head_width = shape.head_width,
                    .query_heads = group,
                    .head_rows = shape.tokens,
                    .mask = mask_of(dropout, shape, document, head)},
                   scratch);
  };
  // Cut by worker, not by item: each worker has its part of the workspace.
  queue.parallel_for(workers, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t worker = begin; worker < end; ++worker) {
      float* scratch = memory + static_cast<std::size_t>(worker) * thread_workspace_floats(shape);
      for_each_document(shape, begin_bt, [&](const Document& document) {
        for_each_head(shape, document, items * worker / workers, items * (worker + 1) / workers,
                      [&](std::int64_t head) { backward_of(document, head, scratch); });
      });
    }
  });
}

std::size_t attention_workspace_floats(const AttentionShape& shape, int threads) {
  return static_cast<std::size_t>(threads) * thread_workspace_floats(shape) + kAlignedFloats;
}

template <typename T>
void attention_cached(cpu::Queue& queue, const AttentionShape& shape, std::int64_t first_position,
                      std::span<const T> qkv_tc, std::span<const T> key_cache, std::span<const T> value_cache,
                      std::span<T> o_the) {
  const cpu::AttentionLoops<T>& loops = loops_of<T>(queue);
  const std::int64_t group = shape.heads / shape.key_value_heads;
  queue.parallel_for(shape.tokens * shape.heads, 1, [&](std::int64_t begin, std::int64_t end) {
    float* scratch = thread_scratch(cpu::attention_cached_floats(first_position + shape.tokens, shape.head_width));
    for (std::int64_t item = begin; item < end; ++item) {
      const std::int64_t t = item / shape.heads;
      const std::int64_t head = item % shape.heads;
      const std::int64_t key_value = head / group * shape.head_width;
      loops.cached({.q = qkv_tc.data() + t * shape.columns() + head * shape.head_width,
                    .k = key_cache.data() + key_value,
                    .v = value_cache.data() + key_value,
                    .o = o_the.data() + item * shape.head_width,
                    .cache_stride = shape.key_value_heads * shape.head_width,
                    .keys = first_position + t + 1,
                    .head_width = shape.head_width},
                   scratch);
    }
  });
}

#define STOA_ATTENTION_OF(T)                                                                                      \
  template void attention_forward<T>(cpu::Queue&, const AttentionShape&, std::span<const T>,                      \
                                     std::span<const std::int32_t>, const AttentionDropout&, std::span<T>,        \
                                     std::span<float>);                                                           \
  template void attention_backward<T>(cpu::Queue&, const AttentionShape&, std::span<const T>, std::span<const T>, \
                                      std::span<const T>, std::span<const float>, std::span<const std::int32_t>,  \
                                      const AttentionDropout&, std::span<T>, std::span<float>);                   \
  template void attention_cached<T>(cpu::Queue&, const AttentionShape&, std::int64_t, std::span<const T>,         \
                                    std::span<const T>, std::span<const T>, std::span<T>);
STOA_ATTENTION_OF(float)
STOA_ATTENTION_OF(bf16)
#undef STOA_ATTENTION_OF

}  // namespace stoa::trainer

#pragma once
/// Generator as a template over the queue and the type of activations; see generation.h. The same kernels as the
/// transformer's forward pass, in the same order. Included by one file per backend (generator_cpu.cc). Dims: N new
/// tokens, T context, D width, H heads, K key-value heads, E head width, C = (H + 2K) * E, F feed-forward width, G = F
/// (gpt2) or 2F (llama), V padded vocabulary.
#include <algorithm>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/trainer/kernels/activation.h"
#include "stoa/trainer/kernels/embedding.h"
#include "stoa/trainer/kernels/layer_norm.h"
#include "stoa/trainer/kernels/linear.h"
#include "stoa/trainer/kernels/rope.h"
#include "stoa/trainer/model/generation.h"
#include "stoa/trainer/model/transformer_buffers.h"

namespace stoa::trainer {

/// A prompt is read in runs of at most this many tokens: enough rows for products to be worth it, and a workspace that
/// does not grow with the context.
inline constexpr std::int64_t kGenerationRun = 64;

template <typename T>
struct GeneratorBuffers {
  /// Per layer [T, K, E], after norm and rotation.
  std::vector<std::span<T>> key_cache, value_cache;
  std::span<float> x_nd, mean_n, scale_nh, logits_v;
  std::span<T> h_nd, branch_nd, qkv_nc, heads_nhe, in_ng, act_nf;
};

template <typename T>
GeneratorBuffers<T> carve_generator(Carver& carver, const ParameterTable& table) {
  const TransformerSizes sizes(table, 1);
  const std::int64_t rows = std::min(kGenerationRun, sizes.context);
  const auto of_rows = [&](std::int64_t columns) { return static_cast<std::size_t>(rows * columns); };
  const auto cache = static_cast<std::size_t>(sizes.context * sizes.key_value);
  GeneratorBuffers<T> all;
  for (std::int64_t layer = 0; layer < table.model.layers; ++layer) {
    all.key_cache.push_back(carver.take<T>("keys read", cache));
    all.value_cache.push_back(carver.take<T>("values read", cache));
  }
  all.x_nd = carver.take<float>("residual stream", of_rows(sizes.width));
  all.mean_n = carver.take<float>("norm means", of_rows(1));
  all.scale_nh = carver.take<float>("norm scales", of_rows(table.model.heads));
  all.h_nd = carver.take<T>("norm output", of_rows(sizes.width));
  all.branch_nd = carver.take<T>("residual branch", of_rows(sizes.width));
  all.qkv_nc = carver.take<T>("queries, keys, values", of_rows(sizes.columns));
  all.heads_nhe = carver.take<T>("attention output", of_rows(sizes.query));
  all.in_ng = carver.take<T>("feed-forward input", of_rows(sizes.feed_forward_in));
  all.act_nf = carver.take<T>("feed-forward activation", of_rows(sizes.feed_forward));
  all.logits_v = carver.take<float>("logits of one token", std::size_t(sizes.vocabulary));
  return all;
}

template <typename Queue, typename T>
class CachedGenerator final : public Generator {
 public:
  CachedGenerator(Queue& queue, const ParameterTable& table, const ModelParameters& parameters)
      : queue_(queue), table_(table), model_(table.model), parameters_(parameters), sizes_(table, 1) {
    Carver plan(MemoryKind::kActivations, nullptr);
    carve_generator<T>(plan, table);
    memory_ = PageBuffer(plan.size_bytes());
    Carver carver(memory_.bytes());
    all_ = carve_generator<T>(carver, table);
    if (gpt2()) return;
    rope_memory_ = PageBuffer(std::size_t(model_.context_length * model_.head_width) * sizeof(float));
    rope_te_ = rope_memory_.as<float>();
    rope_table(model_.rope_theta, model_.context_length, model_.head_width, rope_te_);
  }

  std::span<const float> read(std::span<const std::int32_t> tokens) override;
  void restart() override { position_ = 0; }
  std::int64_t position() const override { return position_; }
  std::int64_t room() const override { return sizes_.context - position_; }

 private:
  void read_run(std::span<const std::int32_t> tokens);
  void attention(std::int64_t layer);
  void normalize_queries_and_keys(const LayerOffsets& at);
  void remember(std::int64_t layer);
  void feed_forward(const LayerOffsets& at);
  void norm(std::span<const T> branch_nd, std::int64_t weight, std::int64_t bias);

  HeadColumns query_columns() const { return {rows_, sizes_.columns, 0, model_.heads, model_.head_width}; }
  HeadColumns key_columns() const {
    return {rows_, sizes_.columns, sizes_.query, model_.key_value_heads, model_.head_width};
  }
  std::span<const T> product(std::int64_t offset, std::int64_t elements) const {
    return parameters_.products<T>().subspan(std::size_t(offset), std::size_t(elements));
  }
  std::span<const float> master(std::int64_t offset, std::int64_t elements) const {
    if (offset < 0) return {};
    return parameters_.masters().subspan(std::size_t(offset), std::size_t(elements));
  }
  /// The rows of the run at hand.
  template <typename Value>
  std::span<Value> rows(std::span<Value> buffer, std::int64_t columns) const {
    return buffer.first(std::size_t(rows_ * columns));
  }
  RowPositions positions() const { return {.per_sequence = sizes_.context, .first = position_}; }
  bool gpt2() const { return model_.family == ModelFamily::kGpt2; }

  Queue& queue_;
  const ParameterTable& table_;
  const ModelSettings& model_;
  const ModelParameters& parameters_;
  TransformerSizes sizes_;
  PageBuffer memory_, rope_memory_;
  GeneratorBuffers<T> all_;
  std::span<float> rope_te_;
  std::int64_t position_ = 0;  ///< of row 0 of the run at hand
  std::int64_t rows_ = 0;      ///< of the run at hand
};

/// x_nd += branch_nd, h_nd = norm of x_nd.
template <typename Queue, typename T>
void CachedGenerator<Queue, T>::norm(std::span<const T> branch_nd, std::int64_t weight, std::int64_t bias) {
  const auto epsilon = static_cast<float>(model_.norm_epsilon);
  const auto w_d = master(weight, sizes_.width);
  const auto x_nd = rows(all_.x_nd, sizes_.width);
  const auto h_nd = rows(all_.h_nd, sizes_.width);
  if (gpt2()) {
    layer_norm_forward<T>(queue_, x_nd, branch_nd, w_d, master(bias, sizes_.width), epsilon, x_nd, h_nd,
                          rows(all_.mean_n, 1), rows(all_.scale_nh, 1));
  } else {
    rms_norm_forward<T>(queue_, x_nd, branch_nd, w_d, epsilon, x_nd, h_nd, rows(all_.scale_nh, 1));
  }
}

template <typename Queue, typename T>
void CachedGenerator<Queue, T>::normalize_queries_and_keys(const LayerOffsets& at) {
  const auto qkv_nc = rows(all_.qkv_nc, sizes_.columns);
  const auto epsilon = static_cast<float>(model_.norm_epsilon);
  head_norm_forward<T>(queue_, qkv_nc, query_columns(), master(at.query_norm, model_.head_width), epsilon, qkv_nc,
                       rows(all_.scale_nh, model_.heads));
  head_norm_forward<T>(queue_, qkv_nc, key_columns(), master(at.key_norm, model_.head_width), epsilon, qkv_nc,
                       rows(all_.scale_nh, model_.key_value_heads));
}

/// Keys and values of the run go behind those of earlier positions.
template <typename Queue, typename T>
void CachedGenerator<Queue, T>::remember(std::int64_t layer) {
  const T* keys = all_.qkv_nc.data() + sizes_.query;
  const std::int64_t first = position_ * sizes_.key_value;
  for (std::int64_t row = 0; row < rows_; ++row, keys += sizes_.columns) {
    const std::int64_t at = first + row * sizes_.key_value;
    std::copy_n(keys, sizes_.key_value, all_.key_cache[std::size_t(layer)].data() + at);
    std::copy_n(keys + sizes_.key_value, sizes_.key_value, all_.value_cache[std::size_t(layer)].data() + at);
  }
}

template <typename Queue, typename T>
void CachedGenerator<Queue, T>::attention(std::int64_t layer) {
  const LayerOffsets& at = table_.layers[std::size_t(layer)];
  const auto qkv_nc = rows(all_.qkv_nc, sizes_.columns);
  linear_forward<T, T>(queue_, rows(all_.h_nd, sizes_.width),
                       product(at.query_key_value, sizes_.columns * sizes_.width),
                       master(at.query_key_value_bias, sizes_.columns), rows_, sizes_.width, sizes_.columns, qkv_nc);
  if (model_.query_key_norm) normalize_queries_and_keys(at);
  if (!gpt2()) {
    rope<T>(queue_, qkv_nc, query_columns(), rope_te_, positions(), RopeDirection::kForward);
    rope<T>(queue_, qkv_nc, key_columns(), rope_te_, positions(), RopeDirection::kForward);
  }
  remember(layer);
  AttentionShape shape = sizes_.attention;
  shape.tokens = rows_;
  const auto heads_nhe = rows(all_.heads_nhe, sizes_.query);
  attention_cached<T>(queue_, shape, position_, qkv_nc, all_.key_cache[std::size_t(layer)],
                      all_.value_cache[std::size_t(layer)], heads_nhe);
  linear_forward<T, T>(queue_, heads_nhe, product(at.attention_output, sizes_.width * sizes_.query),
                       master(at.attention_output_bias, sizes_.width), rows_, sizes_.query, sizes_.width,
                       rows(all_.branch_nd, sizes_.width));
}

template <typename Queue, typename T>
void CachedGenerator<Queue, T>::feed_forward(const LayerOffsets& at) {
  const auto in_ng = rows(all_.in_ng, sizes_.feed_forward_in);
  const auto act_nf = rows(all_.act_nf, sizes_.feed_forward);
  linear_forward<T, T>(
      queue_, rows(all_.h_nd, sizes_.width), product(at.feed_forward_in, sizes_.feed_forward_in * sizes_.width),
      master(at.feed_forward_in_bias, sizes_.feed_forward_in), rows_, sizes_.width, sizes_.feed_forward_in, in_ng);
  if (gpt2())
    gelu_forward<T>(queue_, in_ng, act_nf);
  else
    swiglu_forward<T>(queue_, in_ng, sizes_.feed_forward, act_nf);
  linear_forward<T, T>(queue_, act_nf, product(at.feed_forward_out, sizes_.width * sizes_.feed_forward),
                       master(at.feed_forward_out_bias, sizes_.width), rows_, sizes_.feed_forward, sizes_.width,
                       rows(all_.branch_nd, sizes_.width));
}

template <typename Queue, typename T>
void CachedGenerator<Queue, T>::read_run(std::span<const std::int32_t> tokens) {
  rows_ = std::ssize(tokens);
  embedding_forward(queue_, tokens, master(table_.embedding, sizes_.vocabulary * sizes_.width),
                    master(table_.positions, sizes_.context * sizes_.width), sizes_.width, positions(),
                    rows(all_.x_nd, sizes_.width));
  std::span<const T> pending;  // the branch that the next norm adds to the stream
  for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
    const LayerOffsets& at = table_.layers[std::size_t(layer)];
    norm(pending, at.attention_norm, at.attention_norm_bias);
    attention(layer);
    pending = rows(all_.branch_nd, sizes_.width);
    norm(pending, at.feed_forward_norm, at.feed_forward_norm_bias);
    feed_forward(at);
  }
  norm(pending, table_.final_norm, table_.final_norm_bias);
  position_ += rows_;
}

template <typename Queue, typename T>
std::span<const float> CachedGenerator<Queue, T>::read(std::span<const std::int32_t> tokens) {
  if (tokens.empty() || std::ssize(tokens) > room())
    throw InternalError("generation: {} tokens do not fit behind {} of a context of {}", tokens.size(), position_,
                        sizes_.context);
  const auto run = static_cast<std::size_t>(std::min(kGenerationRun, sizes_.context));
  for (std::size_t at = 0; at < tokens.size(); at += run)
    read_run(tokens.subspan(at, std::min(run, tokens.size() - at)));
  const auto h_d = std::span<const T>(rows(all_.h_nd, sizes_.width)).last(std::size_t(sizes_.width));
  linear_forward<T, float>(queue_, h_d, product(table_.head, sizes_.vocabulary * sizes_.width), {}, 1, sizes_.width,
                           sizes_.vocabulary, all_.logits_v);
  return all_.logits_v.first(std::size_t(model_.vocabulary_size));
}

}  // namespace stoa::trainer

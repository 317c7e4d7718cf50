#pragma once
/// The activations and the workspace of a transformer, carved from one buffer each. T is the type of activations.
/// Dims: N = B * T tokens, D width, H heads, K key-value heads, E head width, C = (H + 2K) * E, F feed-forward width,
/// G = F (gpt2) or 2F (llama) outputs of the first feed-forward product, V padded vocabulary, R rows of a loss chunk.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "stoa/trainer/kernels/attention.h"
#include "stoa/trainer/kernels/elementwise.h"
#include "stoa/trainer/kernels/head_norm.h"
#include "stoa/trainer/kernels/rms_norm.h"
#include "stoa/trainer/model/model.h"

namespace stoa::trainer {

/// Sizes that follow from settings and micro-batch.
struct TransformerSizes {
  TransformerSizes(const ParameterTable& table, std::int64_t samples_in_batch);

  std::int64_t samples, context, tokens, width, query, key_value, columns, feed_forward, feed_forward_in, vocabulary,
      loss_rows;
  AttentionShape attention;
};

template <typename T>
struct LayerActivations {
  std::span<float> attention_x_nd;     ///< residual stream that enters the attention norm
  std::span<float> attention_mean_n;   ///< gpt2
  std::span<float> attention_scale_n;  ///< 1 / rms or 1 / std
  std::span<T> raw_qkv_nc;             ///< before query-key norm; only where there is one
  std::span<float> query_scale_nh, key_scale_nk;
  std::span<T> qkv_nc;     ///< after norm and rotation
  std::span<T> heads_nhe;  ///< attention output before its projection
  std::span<float> lse_bht;
  std::span<float> feed_forward_x_nd;
  std::span<float> feed_forward_mean_n;
  std::span<float> feed_forward_scale_n;
  std::span<T> feed_forward_in_ng;  ///< gate and up, or up, before the non-linearity
};

template <typename T>
struct TransformerActivations {
  std::vector<LayerActivations<T>> layers;
  std::span<float> final_x_nd, final_mean_n, final_scale_n;
  std::span<T> final_h_nd;
  std::span<float> loss_n, z_n;
};

template <typename T>
struct TransformerWorkspace {
  std::span<T> h_nd, branch_nd, act_nf;
  std::span<float> logits_rv;
  std::span<T> dlogits_rv;  ///< the memory of logits_rv where T is float
  // Training only.
  std::span<float> dx_nd;
  std::span<T> dh_nd, dact_nf, dheads_nhe, dqkv_nc;
  std::span<float> attention, reduction;
};

inline TransformerSizes::TransformerSizes(const ParameterTable& table, std::int64_t samples_in_batch)
    : samples(samples_in_batch),
      context(table.model.context_length),
      tokens(samples * context),
      width(table.model.width),
      query(table.model.heads * table.model.head_width),
      key_value(table.model.key_value_heads * table.model.head_width),
      columns(query + 2 * key_value),
      feed_forward(table.model.feed_forward_width),
      feed_forward_in(table.model.family == ModelFamily::kGpt2 ? feed_forward : 2 * feed_forward),
      vocabulary(table.padded_vocabulary),
      loss_rows(0),
      attention{samples, context, table.model.heads, table.model.key_value_heads, table.model.head_width} {
  constexpr std::int64_t kLogitElements = std::int64_t{1} << 25;  // 128 MiB of fp32 logits at once
  const std::int64_t most = std::max<std::int64_t>(64, kLogitElements / vocabulary);
  const std::int64_t chunks = (tokens + most - 1) / most;
  loss_rows = (tokens + chunks - 1) / chunks;
}

template <typename T>
TransformerActivations<T> carve_activations(Carver& carver, const ParameterTable& table, const TransformerSizes& sizes,
                                            ModelUse use) {
  const auto n = static_cast<std::size_t>(sizes.tokens);
  const auto nd = static_cast<std::size_t>(sizes.tokens * sizes.width);
  const bool gpt2 = table.model.family == ModelFamily::kGpt2;
  const std::size_t means = gpt2 ? n : 0;
  const std::size_t normed = table.model.query_key_norm ? n : 0;
  const auto carve_layer = [&] {
    LayerActivations<T> layer;
    layer.attention_x_nd = carver.take<float>("residual stream before attention", nd);
    layer.attention_mean_n = carver.take<float>("attention norm means", means);
    layer.attention_scale_n = carver.take<float>("attention norm scales", n);
    layer.raw_qkv_nc = carver.take<T>("queries, keys, values before their norm", normed * std::size_t(sizes.columns));
    layer.query_scale_nh = carver.take<float>("query norm scales", normed * std::size_t(table.model.heads));
    layer.key_scale_nk = carver.take<float>("key norm scales", normed * std::size_t(table.model.key_value_heads));
    layer.qkv_nc = carver.take<T>("queries, keys, values", n * std::size_t(sizes.columns));
    layer.heads_nhe = carver.take<T>("attention outputs", n * std::size_t(sizes.query));
    layer.lse_bht = carver.take<float>("attention log-sums", n * std::size_t(table.model.heads));
    layer.feed_forward_x_nd = carver.take<float>("residual stream before feed-forward", nd);
    layer.feed_forward_mean_n = carver.take<float>("feed-forward norm means", means);
    layer.feed_forward_scale_n = carver.take<float>("feed-forward norm scales", n);
    layer.feed_forward_in_ng = carver.take<T>("feed-forward inputs", n * std::size_t(sizes.feed_forward_in));
    return layer;
  };
  TransformerActivations<T> all;
  const std::int64_t kept = use == ModelUse::kTraining ? table.model.layers : 1;
  for (std::int64_t layer = 0; layer < kept; ++layer) all.layers.push_back(carve_layer());
  all.layers.resize(static_cast<std::size_t>(table.model.layers), all.layers[0]);
  all.final_x_nd = carver.take<float>("residual stream at the end", nd);
  all.final_mean_n = carver.take<float>("final norm means", means);
  all.final_scale_n = carver.take<float>("final norm scales", n);
  all.final_h_nd = carver.take<T>("final norm", nd);
  all.loss_n = carver.take<float>("losses", n);
  all.z_n = carver.take<float>("squared log-sums", n);
  return all;
}

template <typename T>
TransformerWorkspace<T> carve_workspace(Carver& carver, const ParameterTable& table, const TransformerSizes& sizes,
                                        ModelUse use, int threads) {
  const auto n = static_cast<std::size_t>(sizes.tokens);
  const auto nd = static_cast<std::size_t>(sizes.tokens * sizes.width);
  const auto rv = static_cast<std::size_t>(sizes.loss_rows * sizes.vocabulary);
  TransformerWorkspace<T> work;
  work.h_nd = carver.take<T>("norm output", nd);
  work.branch_nd = carver.take<T>("residual branch", nd);
  work.act_nf = carver.take<T>("feed-forward activation", n * std::size_t(sizes.feed_forward));
  work.logits_rv = carver.take<float>("logits of one chunk", rv);
  if (use == ModelUse::kEvaluation) return work;
  if constexpr (std::is_same_v<T, float>)
    work.dlogits_rv = work.logits_rv;
  else
    work.dlogits_rv = carver.take<T>("logit gradients of one chunk", rv);
  work.dx_nd = carver.take<float>("residual stream gradient", nd);
  work.dh_nd = carver.take<T>("norm output gradient", nd);
  work.dact_nf = carver.take<T>("feed-forward activation gradient", n * std::size_t(sizes.feed_forward));
  work.dheads_nhe = carver.take<T>("attention output gradient", n * std::size_t(sizes.query));
  work.dqkv_nc = carver.take<T>("query, key, value gradient", n * std::size_t(sizes.columns));
  work.attention = carver.take<float>("attention scratch", attention_workspace_floats(sizes.attention, threads));
  const std::size_t widest = std::size_t(std::max(sizes.columns, sizes.feed_forward_in));
  const std::size_t reduction =
      std::max({norm_workspace_floats(n, std::size_t(sizes.width)), column_sum_workspace_floats(n, widest),
                head_norm_workspace_floats(n * std::size_t(table.model.heads), std::size_t(table.model.head_width))});
  work.reduction = carver.take<float>("column-sum scratch", reduction);
  return work;
}

}  // namespace stoa::trainer

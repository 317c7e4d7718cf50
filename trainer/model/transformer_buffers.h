#pragma once
/// The activations and the workspace of a transformer's share, carved from one buffer each. T is the type of
/// activations. Dims: N = B * T tokens, M of them this rank's rows, D width, H heads, K key-value heads and F
/// feed-forward width of this rank, E head width, C = (H + 2K) * E, G = F (gpt2) or 2F (llama) outputs of the first
/// feed-forward product, V padded vocabulary of this rank, R rows of a loss chunk.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "stoa/trainer/kernels/attention.h"
#include "stoa/trainer/kernels/cross_entropy.h"
#include "stoa/trainer/kernels/elementwise.h"
#include "stoa/trainer/kernels/head_norm.h"
#include "stoa/trainer/kernels/rms_norm.h"
#include "stoa/trainer/model/model.h"

namespace stoa::trainer {

/// Sizes that follow from the share and the micro-batch.
struct TransformerSizes {
  TransformerSizes(const ParameterTable& table, std::int64_t samples_in_batch);

  /// rows: at most, of this rank; heads and all below are this rank's.
  std::int64_t samples, context, tokens, rows, width, heads, key_value_heads, head_width, query, key_value, columns,
      feed_forward, feed_forward_in, vocabulary, loss_rows;
  AttentionShape attention;
};

template <typename T>
struct LayerActivations {
  std::span<float> attention_x_md;     ///< residual stream that enters the attention norm
  std::span<float> attention_mean_m;   ///< gpt2
  std::span<float> attention_scale_m;  ///< 1 / rms or 1 / std
  std::span<T> raw_qkv_nc;             ///< before query-key norm; only where there is one
  std::span<float> query_scale_nh, key_scale_nk;
  std::span<T> qkv_nc;     ///< after norm and rotation
  std::span<T> heads_nhe;  ///< attention output before its projection
  std::span<float> lse_bht;
  std::span<float> feed_forward_x_md;
  std::span<float> feed_forward_mean_m;
  std::span<float> feed_forward_scale_m;
  std::span<T> feed_forward_in_ng;  ///< gate and up, or up, before the non-linearity
};

/// What backward_input leaves for backward_weight.
template <typename T>
struct LayerDeferred {
  std::span<T> dattention_md, dfeed_forward_md;  ///< gradients of both branches' outputs
  std::span<T> dqkv_nc, din_ng;
  std::span<float> dvectors;  ///< of norms: attention, feed-forward (weight, bias), query, key
};

template <typename T>
struct SlotActivations {
  std::vector<LayerActivations<T>> layers;
  std::vector<LayerDeferred<T>> deferred;
  std::span<float> final_x_md, final_mean_m, final_scale_m;
};

template <typename T>
struct TransformerWorkspace {
  std::span<T> h_nd;       ///< norm output: this rank's rows, all rows once gathered
  std::span<T> branch_md;  ///< residual branch
  std::span<T> act_nf;
  std::span<float> terms_nd;  ///< terms of sums over the tensor axis; where it is cut
  std::span<float> loss_n, z_n, lse_r;
  std::span<CrossEntropyTerms> loss_terms_r, loss_terms_pr;  ///< where the vocabulary is cut; of P ranks
  std::span<float> logits_rv;
  std::span<T> dlogits_rv;  ///< the memory of logits_rv where T is float
  // Training only.
  std::span<float> dx_md;
  std::span<T> dh_md, dact_nf, dheads_nhe, dqkv_nc;
  std::span<T> dy_nd;  ///< gradient of a branch's output, all rows
  std::span<float> attention, reduction;
};

inline TransformerSizes::TransformerSizes(const ParameterTable& table, std::int64_t samples_in_batch)
    : samples(samples_in_batch),
      context(table.model.context_length),
      tokens(samples * context),
      rows(parallel::balanced_slice(tokens, table.share.tensor_parts, 0).size()),
      width(table.model.width),
      heads(table.slices.heads.size()),
      key_value_heads(table.slices.key_value_heads.size()),
      head_width(table.model.head_width),
      query(heads * head_width),
      key_value(key_value_heads * head_width),
      columns(query + 2 * key_value),
      feed_forward(table.slices.feed_forward.size()),
      feed_forward_in(table.model.family == ModelFamily::kGpt2 ? feed_forward : 2 * feed_forward),
      vocabulary(table.padded_vocabulary),
      loss_rows(0),
      attention{samples, context, heads, key_value_heads, head_width} {
  constexpr std::int64_t kLogitElements = std::int64_t{1} << 25;  // 128 MiB of fp32 logits at once
  const std::int64_t most = std::max<std::int64_t>(64, kLogitElements / vocabulary);
  const std::int64_t chunks = (tokens + most - 1) / most;
  loss_rows = (tokens + chunks - 1) / chunks;
}

/// Which activations of a layer are carved: those a slot keeps, or those computed again for one layer at a time.
enum class LayerPart { kKept, kComputedAgain, kAll };

template <typename T>
class ActivationCarver {
 public:
  ActivationCarver(Carver& carver, const ParameterTable& table, const TransformerSizes& sizes, const ModelShape& shape)
      : carver_(carver), table_(table), sizes_(sizes), shape_(shape) {}

  /// Slots by chunk.
  std::vector<std::vector<SlotActivations<T>>> carve() {
    const bool evaluation = shape_.use == ModelUse::kEvaluation;
    if (evaluation)
      carve_layer(again_, LayerPart::kAll);
    else if (shape_.recompute != Recompute::kNone)
      carve_layer(again_, LayerPart::kComputedAgain);
    std::vector<std::vector<SlotActivations<T>>> all(table_.chunks.size());
    for (std::size_t chunk = 0; chunk < all.size(); ++chunk) {
      const int slots = shape_.slots.empty() || evaluation ? 1 : shape_.slots[chunk];
      for (int slot = 0; slot < slots; ++slot) all[chunk].push_back(carve_slot(chunk));
    }
    return all;
  }

 private:
  SlotActivations<T> carve_slot(std::size_t chunk) {
    SlotActivations<T> slot;
    for (std::int64_t layer = 0; layer < table_.chunks[chunk].size(); ++layer) {
      slot.layers.push_back(again_);
      if (shape_.use == ModelUse::kEvaluation) continue;
      carve_layer(slot.layers.back(), shape_.recompute == Recompute::kNone ? LayerPart::kAll : LayerPart::kKept);
      if (shape_.split_backward) slot.deferred.push_back(carve_deferred());
    }
    if (!table_.share.holds_end || chunk + 1 != table_.chunks.size()) return slot;
    slot.final_x_md = carver_.take<float>("residual stream at the end", of_rows(sizes_.width));
    slot.final_mean_m = carver_.take<float>("final norm means", means());
    slot.final_scale_m = carver_.take<float>("final norm scales", of_rows(1));
    return slot;
  }

  void carve_layer(LayerActivations<T>& layer, LayerPart part) {
    const bool full = shape_.recompute == Recompute::kFull;
    // What the second half of a split backward pass reads stays in the slot in any case.
    const auto wanted = [&](bool again, bool deferred) {
      const bool kept = !again || (deferred && shape_.split_backward);
      return part == LayerPart::kAll || kept == (part == LayerPart::kKept);
    };
    const bool selective = shape_.recompute != Recompute::kNone;
    const std::size_t normed = table_.model.query_key_norm ? 1 : 0;
    if (wanted(false, true)) {
      layer.attention_x_md = carver_.take<float>("residual stream before attention", of_rows(sizes_.width));
      layer.attention_mean_m = carver_.take<float>("attention norm means", means());
      layer.attention_scale_m = carver_.take<float>("attention norm scales", of_rows(1));
    }
    if (wanted(full, false)) {
      layer.raw_qkv_nc = carver_.take<T>("queries, keys, values before their norm", normed * of_tokens(sizes_.columns));
      layer.query_scale_nh = carver_.take<float>("query norm scales", normed * of_tokens(sizes_.heads));
      layer.key_scale_nk = carver_.take<float>("key norm scales", normed * of_tokens(sizes_.key_value_heads));
      layer.qkv_nc = carver_.take<T>("queries, keys, values", of_tokens(sizes_.columns));
    }
    if (wanted(selective, true)) layer.heads_nhe = carver_.take<T>("attention outputs", of_tokens(sizes_.query));
    if (wanted(selective, false)) layer.lse_bht = carver_.take<float>("attention log-sums", of_tokens(sizes_.heads));
    if (!wanted(full, true)) return;
    layer.feed_forward_x_md = carver_.take<float>("residual stream before feed-forward", of_rows(sizes_.width));
    layer.feed_forward_mean_m = carver_.take<float>("feed-forward norm means", means());
    layer.feed_forward_scale_m = carver_.take<float>("feed-forward norm scales", of_rows(1));
    layer.feed_forward_in_ng = carver_.take<T>("feed-forward inputs", of_tokens(sizes_.feed_forward_in));
  }

  LayerDeferred<T> carve_deferred() {
    LayerDeferred<T> deferred;
    deferred.dattention_md = carver_.take<T>("attention output gradients, kept", of_rows(sizes_.width));
    deferred.dfeed_forward_md = carver_.take<T>("feed-forward output gradients, kept", of_rows(sizes_.width));
    deferred.dqkv_nc = carver_.take<T>("query, key, value gradients, kept", of_tokens(sizes_.columns));
    deferred.din_ng = carver_.take<T>("feed-forward input gradients, kept", of_tokens(sizes_.feed_forward_in));
    deferred.dvectors =
        carver_.take<float>("norm gradients, kept", std::size_t(4 * sizes_.width + 2 * sizes_.head_width));
    return deferred;
  }

  std::size_t of_rows(std::int64_t columns) const { return std::size_t(sizes_.rows * columns); }
  std::size_t of_tokens(std::int64_t columns) const { return std::size_t(sizes_.tokens * columns); }
  std::size_t means() const { return table_.model.family == ModelFamily::kGpt2 ? of_rows(1) : 0; }

  Carver& carver_;
  const ParameterTable& table_;
  const TransformerSizes& sizes_;
  const ModelShape& shape_;
  LayerActivations<T> again_;
};

/// What the ranks of the tensor axis reach into: memory of their group where the axis is cut, else workspace.
template <typename T>
void carve_exchanged(Carver& carver, const TransformerSizes& sizes, const ModelShape& shape, int tensor_parts,
                     TransformerWorkspace<T>& work) {
  const auto nd = std::size_t(sizes.tokens * sizes.width);
  work.h_nd = carver.take<T>("norm output", nd);
  if (tensor_parts == 1) return;
  work.terms_nd = carver.take<float>("terms of sums over the tensor axis", nd);
  if (shape.use == ModelUse::kTraining) work.dy_nd = carver.take<T>("branch output gradient", nd);
}

template <typename T>
void carve_workspace(Carver& carver, const ParameterTable& table, const TransformerSizes& sizes,
                     const ModelShape& shape, int threads, TransformerWorkspace<T>& work) {
  const auto n = static_cast<std::size_t>(sizes.tokens);
  const auto md = static_cast<std::size_t>(sizes.rows * sizes.width);
  const auto parts = static_cast<std::size_t>(table.share.tensor_parts);
  const std::size_t r = table.share.holds_end ? std::size_t(sizes.loss_rows) : 0;
  const std::size_t rv = r * std::size_t(sizes.vocabulary);
  work.branch_md = carver.take<T>("residual branch", md);
  work.act_nf = carver.take<T>("feed-forward activation", n * std::size_t(sizes.feed_forward));
  if (table.share.holds_end) {
    work.loss_n = carver.take<float>("losses", n);
    work.z_n = carver.take<float>("squared log-sums", n);
    work.logits_rv = carver.take<float>("logits of one chunk", rv);
    if (parts > 1) {
      work.lse_r = carver.take<float>("log-sums of one chunk", r);
      work.loss_terms_r = carver.take<CrossEntropyTerms>("loss terms of one chunk", r);
      work.loss_terms_pr = carver.take<CrossEntropyTerms>("loss terms of all ranks", r * parts);
    }
  }
  if (shape.use == ModelUse::kEvaluation) return;
  if constexpr (std::is_same_v<T, float>)
    work.dlogits_rv = work.logits_rv;
  else
    work.dlogits_rv = carver.take<T>("logit gradients of one chunk", rv);
  work.dx_md = carver.take<float>("residual stream gradient", md);
  work.dh_md = carver.take<T>("norm output gradient", md);
  work.dact_nf = carver.take<T>("feed-forward activation gradient", n * std::size_t(sizes.feed_forward));
  work.dheads_nhe = carver.take<T>("attention output gradient", n * std::size_t(sizes.query));
  if (!shape.split_backward)
    work.dqkv_nc = carver.take<T>("query, key, value gradient", n * std::size_t(sizes.columns));
  work.attention = carver.take<float>("attention scratch", attention_workspace_floats(sizes.attention, threads));
  const std::size_t widest = std::size_t(std::max({sizes.columns, sizes.feed_forward_in, sizes.width}));
  const std::size_t reduction =
      std::max({norm_workspace_floats(n, std::size_t(sizes.width)), column_sum_workspace_floats(n, widest),
                head_norm_workspace_floats(n * std::size_t(sizes.heads), std::size_t(sizes.head_width))});
  work.reduction = carver.take<float>("column-sum scratch", reduction);
}

}  // namespace stoa::trainer

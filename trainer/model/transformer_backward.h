#pragma once
/// Backward pass of Transformer; see transformer.h. dx_nd is the gradient of the residual stream: every norm adds its
/// part.
#include "stoa/trainer/model/transformer.h"

namespace stoa::trainer {

/// The gradient of a branch's output: the stream's gradient in the type of products, dropped as the branch was. In fp32
/// without dropout it is the stream's gradient itself, which the norm below changes only after it was used.
template <typename Queue, typename T>
std::span<const T> Transformer<Queue, T>::branch_gradient(std::int64_t layer, Branch branch, const MicroBatch& batch) {
  const auto dx_nd = rows(work_.dx_nd, sizes_.width);
  const auto copy_nd = rows(work_.branch_nd, sizes_.width);
  if constexpr (std::is_same_v<T, float>) {
    if (model_.dropout == 0) return dx_nd;
    std::copy(dx_nd.begin(), dx_nd.end(), copy_nd.begin());
  } else {
    cast(queue_, dx_nd, copy_nd);
  }
  drop(copy_nd, layer, branch, batch);
  return copy_nd;
}

template <typename Queue, typename T>
void Transformer<Queue, T>::bias_backward(std::span<const T> dy_nc, std::int64_t bias, std::int64_t columns,
                                          std::span<float> gradients) {
  if (bias >= 0) column_sum<T>(queue_, dy_nc, columns, part(gradients, bias, columns), work_.reduction);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::norm_backward(std::span<const T> dy_nd, std::span<const float> x_nd,
                                          std::span<const float> mean_n, std::span<const float> scale_n,
                                          std::int64_t weight, std::int64_t bias, std::span<float> gradients) {
  const auto w_d = master(weight, sizes_.width);
  const auto dx_nd = rows(work_.dx_nd, sizes_.width);
  const auto dw_d = part(gradients, weight, sizes_.width);
  if (gpt2()) {
    layer_norm_backward<T>(queue_, dy_nd, x_nd, w_d, rows(mean_n, 1), rows(scale_n, 1), dx_nd, dw_d,
                           part(gradients, bias, sizes_.width), work_.reduction);
  } else {
    rms_norm_backward<T>(queue_, dy_nd, x_nd, w_d, rows(scale_n, 1), dx_nd, dw_d, work_.reduction);
  }
}

template <typename Queue, typename T>
void Transformer<Queue, T>::norm_recompute(std::span<const float> x_nd, std::span<const float> mean_n,
                                           std::span<const float> scale_n, std::int64_t weight, std::int64_t bias,
                                           std::span<T> y_nd) {
  const auto w_d = master(weight, sizes_.width);
  if (gpt2()) {
    layer_norm_recompute<T>(queue_, x_nd, w_d, master(bias, sizes_.width), rows(mean_n, 1), rows(scale_n, 1), y_nd);
  } else {
    rms_norm_recompute<T>(queue_, x_nd, w_d, rows(scale_n, 1), y_nd);
  }
}

template <typename Queue, typename T>
void Transformer<Queue, T>::feed_forward_backward_branch(std::int64_t layer, const MicroBatch& batch,
                                                         std::span<float> gradients) {
  const LayerOffsets& at = table_.layers[std::size_t(layer)];
  LayerActivations<T>& kept = kept_.layers[std::size_t(layer)];
  const std::int64_t width = sizes_.width, inner = sizes_.feed_forward, outer = sizes_.feed_forward_in;
  const auto x_nd = std::span<const float>(rows(kept.feed_forward_x_nd, width));
  const auto in_ng = rows(kept.feed_forward_in_ng, outer);
  const auto act_nf = rows(work_.act_nf, inner);
  const auto dact_nf = rows(work_.dact_nf, inner);
  const auto h_nd = rows(work_.h_nd, width);
  const auto dh_nd = rows(work_.dh_nd, width);

  const auto dy_nd = branch_gradient(layer, Branch::kFeedForward, batch);
  if (gpt2())
    gelu_forward<T>(queue_, in_ng, act_nf);
  else
    swiglu_forward<T>(queue_, in_ng, inner, act_nf);
  linear_backward_weight<T>(queue_, dy_nd, act_nf, tokens_, inner, width,
                            part(gradients, at.feed_forward_out, width * inner));
  bias_backward(dy_nd, at.feed_forward_out_bias, width, gradients);
  linear_backward_input<T, T>(queue_, dy_nd, product(at.feed_forward_out, width * inner), tokens_, inner, width,
                              dact_nf);
  if (gpt2())
    gelu_backward<T>(queue_, dact_nf, in_ng, in_ng);
  else
    swiglu_backward<T>(queue_, dact_nf, in_ng, inner, in_ng);
  norm_recompute(x_nd, kept.feed_forward_mean_n, kept.feed_forward_scale_n, at.feed_forward_norm,
                 at.feed_forward_norm_bias, h_nd);
  linear_backward_weight<T>(queue_, in_ng, h_nd, tokens_, width, outer,
                            part(gradients, at.feed_forward_in, outer * width));
  bias_backward(in_ng, at.feed_forward_in_bias, outer, gradients);
  linear_backward_input<T, T>(queue_, in_ng, product(at.feed_forward_in, outer * width), tokens_, width, outer, dh_nd);
  norm_backward(dh_nd, x_nd, kept.feed_forward_mean_n, kept.feed_forward_scale_n, at.feed_forward_norm,
                at.feed_forward_norm_bias, gradients);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::attention_backward_branch(std::int64_t layer, const MicroBatch& batch,
                                                      std::span<float> gradients) {
  const LayerOffsets& at = table_.layers[std::size_t(layer)];
  LayerActivations<T>& kept = kept_.layers[std::size_t(layer)];
  const std::int64_t width = sizes_.width, columns = sizes_.columns, query = sizes_.query;
  const auto x_nd = std::span<const float>(rows(kept.attention_x_nd, width));
  const auto heads_nhe = rows(kept.heads_nhe, query);
  const auto dheads_nhe = rows(work_.dheads_nhe, query);
  const auto dqkv_nc = rows(work_.dqkv_nc, columns);
  const auto h_nd = rows(work_.h_nd, width);
  const auto dh_nd = rows(work_.dh_nd, width);

  const auto dy_nd = branch_gradient(layer, Branch::kAttention, batch);
  linear_backward_weight<T>(queue_, dy_nd, heads_nhe, tokens_, query, width,
                            part(gradients, at.attention_output, width * query));
  bias_backward(dy_nd, at.attention_output_bias, width, gradients);
  linear_backward_input<T, T>(queue_, dy_nd, product(at.attention_output, width * query), tokens_, query, width,
                              dheads_nhe);
  attention_backward<T>(queue_, attention_shape(batch), rows(kept.qkv_nc, columns), heads_nhe, dheads_nhe,
                        rows(kept.lse_bht, model_.heads), batch.document_begin_bt,
                        attention_dropout(layer, batch, Pass::kTrain), dqkv_nc, work_.attention);
  if (!gpt2()) {
    rope<T>(queue_, dqkv_nc, query_columns(tokens_), rope_te_, positions(batch), RopeDirection::kBackward);
    rope<T>(queue_, dqkv_nc, key_columns(tokens_), rope_te_, positions(batch), RopeDirection::kBackward);
  }
  if (model_.query_key_norm) {
    const auto raw = rows(kept.raw_qkv_nc, columns);
    head_norm_backward<T>(queue_, raw, query_columns(tokens_), master(at.query_norm, model_.head_width),
                          rows(kept.query_scale_nh, model_.heads), dqkv_nc,
                          part(gradients, at.query_norm, model_.head_width), work_.reduction);
    head_norm_backward<T>(queue_, raw, key_columns(tokens_), master(at.key_norm, model_.head_width),
                          rows(kept.key_scale_nk, model_.key_value_heads), dqkv_nc,
                          part(gradients, at.key_norm, model_.head_width), work_.reduction);
  }
  norm_recompute(x_nd, kept.attention_mean_n, kept.attention_scale_n, at.attention_norm, at.attention_norm_bias, h_nd);
  linear_backward_weight<T>(queue_, dqkv_nc, h_nd, tokens_, width, columns,
                            part(gradients, at.query_key_value, columns * width));
  bias_backward(dqkv_nc, at.query_key_value_bias, columns, gradients);
  linear_backward_input<T, T>(queue_, dqkv_nc, product(at.query_key_value, columns * width), tokens_, width, columns,
                              dh_nd);
  norm_backward(dh_nd, x_nd, kept.attention_mean_n, kept.attention_scale_n, at.attention_norm, at.attention_norm_bias,
                gradients);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::backward(const MicroBatch& batch, std::span<float> gradients) {
  const auto dx_nd = rows(work_.dx_nd, sizes_.width);
  fill(queue_, 0, dx_nd);
  norm_backward(rows(work_.dh_nd, sizes_.width), rows(kept_.final_x_nd, sizes_.width), kept_.final_mean_n,
                kept_.final_scale_n, table_.final_norm, table_.final_norm_bias, gradients);
  for (std::int64_t layer = model_.layers - 1; layer >= 0; --layer) {
    feed_forward_backward_branch(layer, batch, gradients);
    attention_backward_branch(layer, batch, gradients);
  }
  drop_embedding(dx_nd, batch);
  const auto dpositions =
      table_.positions < 0 ? std::span<float>() : part(gradients, table_.positions, sizes_.context * sizes_.width);
  embedding_backward(queue_, batch.tokens_bt, dx_nd, sizes_.width, positions(batch),
                     part(gradients, table_.embedding, sizes_.vocabulary * sizes_.width), dpositions);
}

}  // namespace stoa::trainer

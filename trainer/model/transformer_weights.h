#pragma once
/// Gradients of a layer's parameters in Transformer; see transformer.h. They are computed within the backward pass or,
/// where it is split, by backward_weight from what the slot keeps.
#include "stoa/trainer/model/transformer.h"

namespace stoa::trainer {

/// The norm of this rank's rows once more, to their place in work_.h_nd.
template <typename Queue, typename T>
void Transformer<Queue, T>::norm_recompute(std::span<const float> x_md, std::span<const float> mean_m,
                                           std::span<const float> scale_m, std::int64_t weight, std::int64_t bias) {
  const auto w_d = master(weight, sizes_.width);
  const auto y_md = own(work_.h_nd, sizes_.width);
  if (gpt2()) {
    layer_norm_recompute<T>(queue_, rows(x_md, sizes_.width), w_d, master(bias, sizes_.width), rows(mean_m, 1),
                            rows(scale_m, 1), y_md);
  } else {
    rms_norm_recompute<T>(queue_, rows(x_md, sizes_.width), w_d, rows(scale_m, 1), y_md);
  }
}

/// The input of a branch's column product, all rows in work_.h_nd once the ticket is done.
template <typename Queue, typename T>
TensorRows::Ticket Transformer<Queue, T>::start_norm_again(const Layer& layer, Branch branch) {
  const LayerActivations<T>& kept = layer.kept;
  if (branch == Branch::kAttention)
    norm_recompute(kept.attention_x_md, kept.attention_mean_m, kept.attention_scale_m, layer.at.attention_norm,
                   layer.at.attention_norm_bias);
  else
    norm_recompute(kept.feed_forward_x_md, kept.feed_forward_mean_m, kept.feed_forward_scale_m,
                   layer.at.feed_forward_norm, layer.at.feed_forward_norm_bias);
  return rows_axis_.start_gather(tokens(work_.h_nd, sizes_.width), tokens_, "norm output, again");
}

/// All rows of a branch's output gradient, once the ticket is done.
template <typename Queue, typename T>
typename Transformer<Queue, T>::Gathered Transformer<Queue, T>::start_gather(std::span<const T> dy_md) {
  if (!rows_axis_.cut()) return {dy_md, dy_md, 0};
  const auto all_nd = tokens(work_.dy_nd, sizes_.width);
  std::copy(dy_md.begin(), dy_md.end(), own(all_nd, sizes_.width).begin());
  return {dy_md, all_nd, rows_axis_.start_gather(all_nd, tokens_, "branch output gradient")};
}

/// The feed-forward activation, to work_.act_nf.
template <typename Queue, typename T>
std::span<const T> Transformer<Queue, T>::activate(const Layer& layer) {
  const auto in_ng = std::span<const T>(tokens(layer.kept.feed_forward_in_ng, sizes_.feed_forward_in));
  const auto act_nf = tokens(work_.act_nf, sizes_.feed_forward);
  if (gpt2())
    gelu_forward<T>(queue_, in_ng, act_nf);
  else
    swiglu_forward<T>(queue_, in_ng, sizes_.feed_forward, act_nf);
  return act_nf;
}

/// Of the product that writes a branch's output; x_ni is its input.
template <typename Queue, typename T>
void Transformer<Queue, T>::row_weights(const Layer& layer, Branch branch, const Gathered& dy, std::span<const T> x_ni,
                                        GradientSink& sink) {
  const LayerOffsets& at = layer.at;
  const bool attention = branch == Branch::kAttention;
  const std::int64_t width = sizes_.width, inputs = attention ? sizes_.query : sizes_.feed_forward;
  const std::int64_t weight = attention ? at.attention_output : at.feed_forward_out;
  const std::int64_t bias = attention ? at.attention_output_bias : at.feed_forward_out_bias;
  linear_backward_weight<T>(queue_, dy.all_nd, x_ni, tokens_, inputs, width,
                            sink.part(at.block, weight, width * inputs));
  // Its gradient is partial on the tensor axis: each rank adds up its own rows.
  if (bias >= 0) column_sum<T>(queue_, dy.own_md, width, sink.part(at.block, bias, width), work_.reduction);
}

/// Of the product that reads a branch's norm, all rows of it in work_.h_nd.
template <typename Queue, typename T>
void Transformer<Queue, T>::column_weights(const Layer& layer, Branch branch, std::span<const T> dy_nc,
                                           GradientSink& sink) {
  const LayerOffsets& at = layer.at;
  const bool attention = branch == Branch::kAttention;
  const std::int64_t columns = attention ? sizes_.columns : sizes_.feed_forward_in;
  const std::int64_t weight = attention ? at.query_key_value : at.feed_forward_in;
  const std::int64_t bias = attention ? at.query_key_value_bias : at.feed_forward_in_bias;
  linear_backward_weight<T>(queue_, dy_nc, std::span<const T>(tokens(work_.h_nd, sizes_.width)), tokens_, sizes_.width,
                            columns, sink.part(at.block, weight, columns * sizes_.width));
  if (bias >= 0) column_sum<T>(queue_, dy_nc, columns, sink.part(at.block, bias, columns), work_.reduction);
}

/// Where the gradient of a norm's vector goes: to the sink, or beside until backward_weight. Empty where there is none.
template <typename Queue, typename T>
std::span<float> Transformer<Queue, T>::vector_gradient(const Layer& layer, std::int64_t place, std::int64_t offset,
                                                        std::int64_t elements, GradientSink& sink) {
  if (offset < 0) return {};
  if (layer.deferred != nullptr) return layer.deferred->dvectors.subspan(std::size_t(place), std::size_t(elements));
  return sink.part(layer.at.block, offset, elements);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::add_vectors(const Layer& layer, GradientSink& sink) {
  const LayerOffsets& at = layer.at;
  const std::int64_t width = sizes_.width, head = model_.head_width;
  const auto add_vector = [&](std::int64_t place, std::int64_t offset, std::int64_t elements) {
    if (offset < 0) return;
    add(queue_, layer.deferred->dvectors.subspan(std::size_t(place), std::size_t(elements)),
        sink.part(at.block, offset, elements));
  };
  add_vector(0, at.attention_norm, width);
  add_vector(width, at.attention_norm_bias, width);
  add_vector(2 * width, at.feed_forward_norm, width);
  add_vector(3 * width, at.feed_forward_norm_bias, width);
  add_vector(4 * width, at.query_norm, head);
  add_vector(4 * width + head, at.key_norm, head);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::backward_weight(const ChunkPass& pass, GradientSink& sink) {
  if (!shape_.split_backward) throw InternalError("this model was not made for a backward pass in two parts");
  begin(pass);
  for (std::int64_t in_chunk = table_.chunks[std::size_t(pass.chunk)].size() - 1; in_chunk >= 0; --in_chunk) {
    const Layer layer = layer_of(pass, in_chunk);
    const LayerDeferred<T>& left = *layer.deferred;
    for (const Branch branch : {Branch::kFeedForward, Branch::kAttention}) {
      const bool attention = branch == Branch::kAttention;
      const auto dy_md = rows(attention ? left.dattention_md : left.dfeed_forward_md, sizes_.width);
      const Gathered dy = start_gather(dy_md);
      const auto h_gathered = start_norm_again(layer, branch);
      const auto x_ni = attention ? std::span<const T>(tokens(layer.kept.heads_nhe, sizes_.query)) : activate(layer);
      rows_axis_.wait(dy.ticket);
      row_weights(layer, branch, dy, x_ni, sink);
      rows_axis_.wait(h_gathered);
      column_weights(layer, branch,
                     attention ? tokens(left.dqkv_nc, sizes_.columns) : tokens(left.din_ng, sizes_.feed_forward_in),
                     sink);
    }
    add_vectors(layer, sink);
    sink.complete(layer.at.block);
  }
}

}  // namespace stoa::trainer

#pragma once
/// Backward pass of Transformer; see transformer.h. work_.dx_md is the gradient of the residual stream, this rank's
/// rows: every norm adds its part. Where the tensor axis is cut, gathering and scattering go on while products of
/// weights are computed.
#include "stoa/trainer/model/transformer.h"

namespace stoa::trainer {

/// The gradient of a branch's output: the stream's gradient in the type of products, dropped as the branch was. In fp32
/// without dropout it is the stream's gradient itself, which the norm below changes only after it was used.
template <typename Queue, typename T>
std::span<const T> Transformer<Queue, T>::branch_gradient(const Layer& layer, Branch branch) {
  const auto dx_md = rows(work_.dx_md, sizes_.width);
  std::span<T> copy_md = rows(work_.branch_md, sizes_.width);
  if (layer.deferred != nullptr)
    copy_md = rows(branch == Branch::kAttention ? layer.deferred->dattention_md : layer.deferred->dfeed_forward_md,
                   sizes_.width);
  if constexpr (std::is_same_v<T, float>) {
    if (model_.dropout == 0 && layer.deferred == nullptr) return dx_md;
    std::copy(dx_md.begin(), dx_md.end(), copy_md.begin());
  } else {
    cast(queue_, dx_md, copy_md);
  }
  drop(copy_md, layer, branch);
  return copy_md;
}

template <typename Queue, typename T>
void Transformer<Queue, T>::norm_backward(std::span<const T> dy_md, std::span<const float> x_md,
                                          std::span<const float> mean_m, std::span<const float> scale_m,
                                          std::int64_t weight, std::span<float> dw_d, std::span<float> db_d) {
  const auto w_d = master(weight, sizes_.width);
  const auto dx_md = rows(work_.dx_md, sizes_.width);
  if (gpt2()) {
    layer_norm_backward<T>(queue_, dy_md, rows(x_md, sizes_.width), w_d, rows(mean_m, 1), rows(scale_m, 1), dx_md, dw_d,
                           db_d, work_.reduction);
  } else {
    rms_norm_backward<T>(queue_, dy_md, rows(x_md, sizes_.width), w_d, rows(scale_m, 1), dx_md, dw_d, work_.reduction);
  }
}

/// This rank's rows of the sum over the tensor axis, to work_.dh_md.
template <typename Queue, typename T>
void Transformer<Queue, T>::take_scattered(std::span<float> terms_nd, TensorRows::Ticket scattered) {
  rows_axis_.wait(scattered);
  const auto sum_md = std::span<const float>(own(terms_nd, sizes_.width));
  const auto dh_md = rows(work_.dh_md, sizes_.width);
  if constexpr (std::is_same_v<T, float>)
    std::copy(sum_md.begin(), sum_md.end(), dh_md.begin());
  else
    cast(queue_, sum_md, dh_md);
}

/// Gradient of a column product's input: this rank's term for all rows; take_scattered brings the sum. Where nothing is
/// cut it stands in work_.dh_md at once.
template <typename Queue, typename T>
TensorRows::Ticket Transformer<Queue, T>::column_product_backward(std::span<const T> dy_nc, std::int64_t weight,
                                                                  std::int64_t columns) {
  const auto w_cd = product(weight, columns * sizes_.width);
  if (!rows_axis_.cut()) {
    linear_backward_input<T, T>(queue_, dy_nc, w_cd, tokens_, sizes_.width, columns, rows(work_.dh_md, sizes_.width));
    return 0;
  }
  const auto terms_nd = tokens(work_.terms_nd, sizes_.width);
  linear_backward_input<T, float>(queue_, dy_nc, w_cd, tokens_, sizes_.width, columns, terms_nd);
  return rows_axis_.start_scatter(terms_nd, tokens_, "gradient of a column-parallel product");
}

template <typename Queue, typename T>
void Transformer<Queue, T>::feed_forward_backward_branch(const Layer& layer, GradientSink& sink) {
  const LayerOffsets& at = layer.at;
  LayerActivations<T>& kept = layer.kept;
  const std::int64_t width = sizes_.width, inner = sizes_.feed_forward, outer = sizes_.feed_forward_in;
  const auto in_ng = tokens(kept.feed_forward_in_ng, outer);
  const auto dact_nf = tokens(work_.dact_nf, inner);
  const auto din_ng = layer.deferred != nullptr ? tokens(layer.deferred->din_ng, outer) : in_ng;

  const Gathered dy = start_gather(branch_gradient(layer, Branch::kFeedForward));
  const auto h_gathered = layer.deferred == nullptr ? start_norm_again(layer, Branch::kFeedForward) : 0;
  const auto act_nf = layer.deferred == nullptr ? activate(layer) : std::span<const T>();
  rows_axis_.wait(dy.ticket);
  linear_backward_input<T, T>(queue_, dy.all_nd, product(at.feed_forward_out, width * inner), tokens_, inner, width,
                              dact_nf);
  if (layer.deferred == nullptr) row_weights(layer, Branch::kFeedForward, dy, act_nf, sink);
  if (gpt2())
    gelu_backward<T>(queue_, dact_nf, in_ng, din_ng);
  else
    swiglu_backward<T>(queue_, dact_nf, in_ng, inner, din_ng);
  const auto scattered = column_product_backward(din_ng, at.feed_forward_in, outer);
  if (layer.deferred == nullptr) {
    rows_axis_.wait(h_gathered);
    column_weights(layer, Branch::kFeedForward, din_ng, sink);
  }
  if (rows_axis_.cut()) take_scattered(tokens(work_.terms_nd, width), scattered);
  norm_backward(rows(work_.dh_md, width), kept.feed_forward_x_md, kept.feed_forward_mean_m, kept.feed_forward_scale_m,
                at.feed_forward_norm, vector_gradient(layer, 2 * width, at.feed_forward_norm, width, sink),
                vector_gradient(layer, 3 * width, at.feed_forward_norm_bias, width, sink));
}

template <typename Queue, typename T>
void Transformer<Queue, T>::head_norms_backward(const Layer& layer, std::span<T> dqkv_nc, GradientSink& sink) {
  const std::int64_t head = model_.head_width;
  const auto raw = tokens(layer.kept.raw_qkv_nc, sizes_.columns);
  head_norm_backward<T>(queue_, raw, query_columns(), master(layer.at.query_norm, head),
                        tokens(layer.kept.query_scale_nh, sizes_.heads), dqkv_nc,
                        vector_gradient(layer, 4 * sizes_.width, layer.at.query_norm, head, sink), work_.reduction);
  head_norm_backward<T>(queue_, raw, key_columns(), master(layer.at.key_norm, head),
                        tokens(layer.kept.key_scale_nk, sizes_.key_value_heads), dqkv_nc,
                        vector_gradient(layer, 4 * sizes_.width + head, layer.at.key_norm, head, sink),
                        work_.reduction);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::attention_backward_branch(const Layer& layer, GradientSink& sink) {
  const LayerOffsets& at = layer.at;
  LayerActivations<T>& kept = layer.kept;
  const std::int64_t width = sizes_.width, columns = sizes_.columns, query = sizes_.query;
  const auto heads_nhe = tokens(kept.heads_nhe, query);
  const auto dheads_nhe = tokens(work_.dheads_nhe, query);
  const auto dqkv_nc = tokens(layer.deferred != nullptr ? layer.deferred->dqkv_nc : work_.dqkv_nc, columns);

  const Gathered dy = start_gather(branch_gradient(layer, Branch::kAttention));
  const auto h_gathered = layer.deferred == nullptr ? start_norm_again(layer, Branch::kAttention) : 0;
  rows_axis_.wait(dy.ticket);
  linear_backward_input<T, T>(queue_, dy.all_nd, product(at.attention_output, width * query), tokens_, query, width,
                              dheads_nhe);
  if (layer.deferred == nullptr) row_weights(layer, Branch::kAttention, dy, heads_nhe, sink);
  attention_backward<T>(queue_, attention_shape(layer.batch), tokens(kept.qkv_nc, columns), heads_nhe, dheads_nhe,
                        tokens(kept.lse_bht, sizes_.heads), layer.batch.document_begin_bt,
                        attention_dropout(layer, Pass::kTrain), dqkv_nc, work_.attention);
  if (!gpt2()) {
    rope<T>(queue_, dqkv_nc, query_columns(), rope_te_, positions(layer.batch), RopeDirection::kBackward);
    rope<T>(queue_, dqkv_nc, key_columns(), rope_te_, positions(layer.batch), RopeDirection::kBackward);
  }
  if (model_.query_key_norm) head_norms_backward(layer, dqkv_nc, sink);
  const auto scattered = column_product_backward(dqkv_nc, at.query_key_value, columns);
  if (layer.deferred == nullptr) {
    rows_axis_.wait(h_gathered);
    column_weights(layer, Branch::kAttention, dqkv_nc, sink);
  }
  if (rows_axis_.cut()) take_scattered(tokens(work_.terms_nd, width), scattered);
  norm_backward(rows(work_.dh_md, width), kept.attention_x_md, kept.attention_mean_m, kept.attention_scale_m,
                at.attention_norm, vector_gradient(layer, 0, at.attention_norm, width, sink),
                vector_gradient(layer, width, at.attention_norm_bias, width, sink));
}

/// What Recompute left out of the slot, with the bits of the forward pass.
template <typename Queue, typename T>
void Transformer<Queue, T>::compute_again(const Layer& layer) {
  LayerActivations<T>& kept = layer.kept;
  if (shape_.recompute == Recompute::kSelective)
    return attention_forward<T>(queue_, attention_shape(layer.batch), tokens(kept.qkv_nc, sizes_.columns),
                                layer.batch.document_begin_bt, attention_dropout(layer, Pass::kTrain),
                                tokens(kept.heads_nhe, sizes_.query), tokens(kept.lse_bht, sizes_.heads));
  const auto attention_x = rows(kept.attention_x_md, sizes_.width);
  const auto branch_md = rows(work_.branch_md, sizes_.width);
  norm_forward(attention_x, {}, layer.at.attention_norm, layer.at.attention_norm_bias, attention_x,
               kept.attention_mean_m, kept.attention_scale_m);
  attention_forward_branch(layer, Pass::kTrain);
  drop(branch_md, layer, Branch::kAttention);
  norm_forward(attention_x, branch_md, layer.at.feed_forward_norm, layer.at.feed_forward_norm_bias,
               rows(kept.feed_forward_x_md, sizes_.width), kept.feed_forward_mean_m, kept.feed_forward_scale_m);
  feed_forward_in(layer);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::embed_backward(const MicroBatch& batch, GradientSink& sink) {
  const std::int64_t width = sizes_.width;
  const parallel::Slice slice = table_.slices.vocabulary;
  const auto dx_md = rows(work_.dx_md, width);
  drop_embedding(dx_md, batch);
  std::span<const float> dx_nd = dx_md;
  if (rows_axis_.cut()) {
    const auto all_nd = tokens(work_.terms_nd, width);
    std::copy(dx_md.begin(), dx_md.end(), own(all_nd, width).begin());
    rows_axis_.gather(all_nd, tokens_, "gradient of the embedded tokens");
    dx_nd = all_nd;
  }
  // One after the other: a sink has memory for few blocks at a time.
  if (table_.positions >= 0) {
    if (rows_axis_.index() == 0)
      embedding_backward(queue_, batch.tokens_bt, dx_nd, width, positions(batch), {},
                         sink.part(table_.positions_block, table_.positions, sizes_.context * width));
    sink.complete(table_.positions_block);
  }
  embedding_backward(queue_, batch.tokens_bt, dx_nd, width, positions(batch),
                     sink.part(table_.embedding_block, table_.embedding, slice.size() * width), {}, slice.begin);
  sink.complete(table_.embedding_block);
}

template <typename Queue, typename T>
LossSums Transformer<Queue, T>::run_backward(const ChunkPass& pass, const LossScale& scale,
                                             std::span<const float> dx_out, std::span<float> dx_in,
                                             GradientSink& sink) {
  begin(pass);
  SlotActivations<T>& slot = slots_[std::size_t(pass.chunk)][std::size_t(pass.slot)];
  const auto dx_md = rows(work_.dx_md, sizes_.width);
  LossSums sums;
  if (ends(pass)) {
    norm_recompute(slot.final_x_md, slot.final_mean_m, slot.final_scale_m, table_.final_norm, table_.final_norm_bias);
    sums = loss(pass.batch, scale, &sink);
    fill(queue_, 0, dx_md);
    const auto of_norm = [&](std::int64_t offset) {
      return offset < 0 ? std::span<float>() : sink.part(table_.final_norm_block, offset, sizes_.width);
    };
    norm_backward(rows(work_.dh_md, sizes_.width), slot.final_x_md, slot.final_mean_m, slot.final_scale_m,
                  table_.final_norm, of_norm(table_.final_norm), of_norm(table_.final_norm_bias));
    sink.complete(table_.final_norm_block);
  } else {
    std::copy(dx_out.begin(), dx_out.end(), dx_md.begin());
  }
  for (std::int64_t in_chunk = std::ssize(slot.layers) - 1; in_chunk >= 0; --in_chunk) {
    const Layer layer = layer_of(pass, in_chunk);
    if (shape_.recompute != Recompute::kNone) compute_again(layer);
    if (layer.deferred != nullptr) fill(queue_, 0, layer.deferred->dvectors);
    feed_forward_backward_branch(layer, sink);
    attention_backward_branch(layer, sink);
    if (layer.deferred == nullptr) sink.complete(layer.at.block);
  }
  if (begins(pass))
    embed_backward(pass.batch, sink);
  else
    std::copy(dx_md.begin(), dx_md.end(), dx_in.begin());
  return sums;
}

template <typename Queue, typename T>
LossSums Transformer<Queue, T>::backward(const ChunkPass& pass, const LossScale& scale, std::span<const float> dx_out,
                                         std::span<float> dx_in, GradientSink& sink) {
  const LossSums sums = run_backward(pass, scale, dx_out, dx_in, sink);
  if (shape_.split_backward) backward_weight(pass, sink);
  return sums;
}

template <typename Queue, typename T>
LossSums Transformer<Queue, T>::backward_input(const ChunkPass& pass, const LossScale& scale,
                                               std::span<const float> dx_out, std::span<float> dx_in,
                                               GradientSink& sink) {
  if (!shape_.split_backward) throw InternalError("this model was not made for a backward pass in two parts");
  return run_backward(pass, scale, dx_out, dx_in, sink);
}

}  // namespace stoa::trainer

#pragma once
/// Forward pass of Transformer; see transformer.h. Told in the order in which it happens.
#include <cmath>

#include "stoa/trainer/model/transformer.h"

namespace stoa::trainer {

template <typename Queue, typename T>
Transformer<Queue, T>::Transformer(Queue& queue, const ParameterTable& table, const ModelParameters& parameters,
                                   const ModelShape& shape)
    : queue_(queue),
      table_(table),
      model_(table.model),
      parameters_(parameters),
      shape_(shape),
      sizes_(table, shape.samples) {
  Carver activations(MemoryKind::kActivations, nullptr);
  carve_activations<T>(activations, table, sizes_, shape.use);
  activation_memory_ = PageBuffer(activations.size_bytes());
  Carver kept(activation_memory_.bytes());
  kept_ = carve_activations<T>(kept, table, sizes_, shape.use);
  Carver workspace(MemoryKind::kWorkspace, nullptr);
  carve_workspace<T>(workspace, table, sizes_, shape.use, queue.threads());
  workspace_memory_ = PageBuffer(workspace.size_bytes());
  Carver work(workspace_memory_.bytes());
  work_ = carve_workspace<T>(work, table, sizes_, shape.use, queue.threads());
  if (gpt2()) return;
  const auto rope_floats = static_cast<std::size_t>(model_.context_length * model_.head_width);
  table_memory_ = PageBuffer(rope_floats * sizeof(float));
  rope_te_ = table_memory_.as<float>().first(rope_floats);
  rope_table(model_.rope_theta, model_.context_length, model_.head_width, rope_te_);
}

template <typename Queue, typename T>
HeadColumns Transformer<Queue, T>::query_columns(std::int64_t rows) const {
  return {rows, sizes_.columns, 0, model_.heads, model_.head_width};
}

template <typename Queue, typename T>
HeadColumns Transformer<Queue, T>::key_columns(std::int64_t rows) const {
  return {rows, sizes_.columns, sizes_.query, model_.key_value_heads, model_.head_width};
}

template <typename Queue, typename T>
AttentionShape Transformer<Queue, T>::attention_shape(const MicroBatch& batch) const {
  AttentionShape shape = sizes_.attention;
  shape.samples = batch.samples;
  return shape;
}

template <typename Queue, typename T>
AttentionDropout Transformer<Queue, T>::attention_dropout(std::int64_t layer, const MicroBatch& batch,
                                                          Pass pass) const {
  if (pass == Pass::kEvaluate || model_.dropout == 0) return {};
  return {static_cast<float>(model_.dropout),
          philox_key(shape_.seed, RandomPurpose::kAttentionDropout, std::uint64_t(layer)), batch.step,
          batch.first_sample};
}

template <typename Queue, typename T>
void Transformer<Queue, T>::drop(std::span<T> x_nd, std::int64_t layer, Branch branch, const MicroBatch& batch) {
  if (model_.dropout == 0) return;
  const auto site = std::uint64_t(2 * layer + static_cast<std::int64_t>(branch));
  dropout<T>(queue_,
             {static_cast<float>(model_.dropout), philox_key(shape_.seed, RandomPurpose::kResidualDropout, site),
              batch.step, std::uint64_t(batch.first_sample * sizes_.context * sizes_.width)},
             x_nd);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::drop_embedding(std::span<float> x_nd, const MicroBatch& batch) {
  if (model_.dropout == 0) return;
  dropout<float>(queue_,
                 {static_cast<float>(model_.dropout), philox_key(shape_.seed, RandomPurpose::kEmbeddingDropout),
                  batch.step, std::uint64_t(batch.first_sample * sizes_.context * sizes_.width)},
                 x_nd);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::norm_forward(std::span<const float> x_nd, std::span<const T> branch_nd, std::int64_t weight,
                                         std::int64_t bias, std::span<float> sum_nd, std::span<T> y_nd,
                                         std::span<float> mean_n, std::span<float> scale_n) {
  const auto epsilon = static_cast<float>(model_.norm_epsilon);
  const auto w_d = master(weight, sizes_.width);
  if (gpt2()) {
    layer_norm_forward<T>(queue_, x_nd, branch_nd, w_d, master(bias, sizes_.width), epsilon, sum_nd, y_nd,
                          rows(mean_n, 1), rows(scale_n, 1));
  } else {
    rms_norm_forward<T>(queue_, x_nd, branch_nd, w_d, epsilon, sum_nd, y_nd, rows(scale_n, 1));
  }
}

template <typename Queue, typename T>
void Transformer<Queue, T>::attention_forward_branch(std::int64_t layer, const MicroBatch& batch, Pass pass) {
  const LayerOffsets& at = table_.layers[std::size_t(layer)];
  LayerActivations<T>& kept = kept_.layers[std::size_t(layer)];
  const auto h_nd = rows(work_.h_nd, sizes_.width);
  const auto qkv_nc = rows(kept.qkv_nc, sizes_.columns);
  const auto projected = model_.query_key_norm ? rows(kept.raw_qkv_nc, sizes_.columns) : qkv_nc;
  linear_forward<T, T>(queue_, h_nd, product(at.query_key_value, sizes_.columns * sizes_.width),
                       master(at.query_key_value_bias, sizes_.columns), tokens_, sizes_.width, sizes_.columns,
                       projected);
  if (model_.query_key_norm) {
    std::copy(projected.begin(), projected.end(), qkv_nc.begin());
    const auto epsilon = static_cast<float>(model_.norm_epsilon);
    head_norm_forward<T>(queue_, projected, query_columns(tokens_), master(at.query_norm, model_.head_width), epsilon,
                         qkv_nc, rows(kept.query_scale_nh, model_.heads));
    head_norm_forward<T>(queue_, projected, key_columns(tokens_), master(at.key_norm, model_.head_width), epsilon,
                         qkv_nc, rows(kept.key_scale_nk, model_.key_value_heads));
  }
  if (!gpt2()) {
    rope<T>(queue_, qkv_nc, query_columns(tokens_), rope_te_, positions(batch), RopeDirection::kForward);
    rope<T>(queue_, qkv_nc, key_columns(tokens_), rope_te_, positions(batch), RopeDirection::kForward);
  }
  const auto heads_nhe = rows(kept.heads_nhe, sizes_.query);
  attention_forward<T>(queue_, attention_shape(batch), qkv_nc, batch.document_begin_bt,
                       attention_dropout(layer, batch, pass), heads_nhe, rows(kept.lse_bht, model_.heads));
  linear_forward<T, T>(queue_, heads_nhe, product(at.attention_output, sizes_.width * sizes_.query),
                       master(at.attention_output_bias, sizes_.width), tokens_, sizes_.query, sizes_.width,
                       rows(work_.branch_nd, sizes_.width));
}

template <typename Queue, typename T>
void Transformer<Queue, T>::feed_forward_forward_branch(std::int64_t layer) {
  const LayerOffsets& at = table_.layers[std::size_t(layer)];
  const auto in_ng = rows(kept_.layers[std::size_t(layer)].feed_forward_in_ng, sizes_.feed_forward_in);
  const auto act_nf = rows(work_.act_nf, sizes_.feed_forward);
  linear_forward<T, T>(
      queue_, rows(work_.h_nd, sizes_.width), product(at.feed_forward_in, sizes_.feed_forward_in * sizes_.width),
      master(at.feed_forward_in_bias, sizes_.feed_forward_in), tokens_, sizes_.width, sizes_.feed_forward_in, in_ng);
  if (gpt2())
    gelu_forward<T>(queue_, in_ng, act_nf);
  else
    swiglu_forward<T>(queue_, in_ng, sizes_.feed_forward, act_nf);
  linear_forward<T, T>(queue_, act_nf, product(at.feed_forward_out, sizes_.width * sizes_.feed_forward),
                       master(at.feed_forward_out_bias, sizes_.width), tokens_, sizes_.feed_forward, sizes_.width,
                       rows(work_.branch_nd, sizes_.width));
}

/// Documents and positions are indices into memory further down: what is wrong is said here.
template <typename Queue, typename T>
void Transformer<Queue, T>::check(const MicroBatch& batch) const {
  const std::int64_t tokens = batch.samples * sizes_.context;
  if (batch.samples < 1 || batch.samples > sizes_.samples || std::ssize(batch.tokens_bt) != tokens ||
      std::ssize(batch.targets_bt) != tokens)
    throw InternalError("a micro-batch of {} samples and {} tokens does not fit a model made for {} x {}",
                        batch.samples, batch.tokens_bt.size(), sizes_.samples, sizes_.context);
  // A data set too large to be read through when it is opened may hold anything.
  const auto vocabulary = static_cast<std::int32_t>(model_.vocabulary_size);
  for (std::size_t n = 0; n < batch.tokens_bt.size(); ++n)
    for (const auto& [id, least] : {std::pair(batch.tokens_bt[n], 0), std::pair(batch.targets_bt[n], -1)})
      if (id < least || id >= vocabulary)
        throw DataError(
            "the data set has token {}, but the vocabulary has ids 0 to {}; `stoa data verify PREFIX --vocabulary {}` "
            "tells where",
            id, vocabulary - 1, vocabulary);
  const auto begins = batch.document_begin_bt, positions = batch.positions_bt;
  if ((!begins.empty() && std::ssize(begins) != tokens) || (!positions.empty() && std::ssize(positions) != tokens))
    throw InternalError("a micro-batch of {} tokens has {} document begins and {} positions", tokens, begins.size(),
                        positions.size());
  for (std::size_t n = 0; n < begins.size(); ++n) {
    const auto t = static_cast<std::int32_t>(std::int64_t(n) % sizes_.context);
    if (begins[n] != t && (t == 0 || begins[n] != begins[n - 1]))
      throw InternalError("token {} of sample {} cannot be in a document that begins at {}", t,
                          std::int64_t(n) / sizes_.context, begins[n]);
  }
  for (std::size_t n = 0; n < positions.size(); ++n)
    if (positions[n] < 0 || positions[n] >= sizes_.context)
      throw InternalError("token {} of the micro-batch has position {} in a context of {}", n, positions[n],
                          sizes_.context);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::forward(const MicroBatch& batch, Pass pass) {
  check(batch);
  tokens_ = batch.samples * sizes_.context;
  const auto h_nd = rows(work_.h_nd, sizes_.width);
  const auto branch_nd = rows(work_.branch_nd, sizes_.width);
  auto x_nd = rows(kept_.layers[0].attention_x_nd, sizes_.width);
  embedding_forward(queue_, batch.tokens_bt, master(table_.embedding, sizes_.vocabulary * sizes_.width),
                    master(table_.positions, sizes_.context * sizes_.width), sizes_.width, positions(batch), x_nd);
  if (pass == Pass::kTrain) drop_embedding(x_nd, batch);
  std::span<const T> pending;  // the branch that the next norm adds to the stream
  for (std::int64_t layer = 0; layer < model_.layers; ++layer) {
    const LayerOffsets& at = table_.layers[std::size_t(layer)];
    LayerActivations<T>& kept = kept_.layers[std::size_t(layer)];
    const auto attention_x = rows(kept.attention_x_nd, sizes_.width);
    norm_forward(x_nd, pending, at.attention_norm, at.attention_norm_bias, attention_x, h_nd, kept.attention_mean_n,
                 kept.attention_scale_n);
    attention_forward_branch(layer, batch, pass);
    if (pass == Pass::kTrain) drop(branch_nd, layer, Branch::kAttention, batch);
    x_nd = rows(kept.feed_forward_x_nd, sizes_.width);
    norm_forward(attention_x, branch_nd, at.feed_forward_norm, at.feed_forward_norm_bias, x_nd, h_nd,
                 kept.feed_forward_mean_n, kept.feed_forward_scale_n);
    feed_forward_forward_branch(layer);
    if (pass == Pass::kTrain) drop(branch_nd, layer, Branch::kFeedForward, batch);
    pending = branch_nd;
  }
  norm_forward(x_nd, pending, table_.final_norm, table_.final_norm_bias, rows(kept_.final_x_nd, sizes_.width),
               rows(kept_.final_h_nd, sizes_.width), kept_.final_mean_n, kept_.final_scale_n);
}

/// Projection to the vocabulary, loss and (where gradients are asked for) both gradients of the projection, chunk by
/// chunk: logits exist for one chunk of rows only. The gradient of the final norm's output is left in work_.dh_nd.
template <typename Queue, typename T>
LossSums Transformer<Queue, T>::loss(const MicroBatch& batch, const LossScale& scale, std::span<float> gradients) {
  const std::int64_t width = sizes_.width, vocabulary = sizes_.vocabulary;
  const auto head_vd = product(table_.head, vocabulary * width);
  for (std::int64_t row = 0; row < tokens_; row += sizes_.loss_rows) {
    const std::int64_t count = std::min(sizes_.loss_rows, tokens_ - row);
    const auto h_rd =
        std::span<const T>(kept_.final_h_nd).subspan(std::size_t(row * width), std::size_t(count * width));
    const auto logits = work_.logits_rv.first(std::size_t(count * vocabulary));
    linear_forward<T, float>(queue_, h_rd, head_vd, {}, count, width, vocabulary, logits);
    const auto dlogits = gradients.empty() ? std::span<T>() : work_.dlogits_rv.first(logits.size());
    cross_entropy<T>(queue_, logits, model_.vocabulary_size, vocabulary,
                     batch.targets_bt.subspan(std::size_t(row), std::size_t(count)), scale.scale, scale.z_loss,
                     kept_.loss_n.subspan(std::size_t(row), std::size_t(count)),
                     kept_.z_n.subspan(std::size_t(row), std::size_t(count)), dlogits);
    if (gradients.empty()) continue;
    linear_backward_input<T, T>(queue_, dlogits, head_vd, count, width, vocabulary,
                                work_.dh_nd.subspan(std::size_t(row * width), std::size_t(count * width)));
    linear_backward_weight<T>(queue_, dlogits, h_rd, count, width, vocabulary,
                              part(gradients, table_.head_gradient, vocabulary * width));
  }
  LossSums sums;
  for (std::int64_t row = 0; row < tokens_; ++row) {
    sums.loss += double(kept_.loss_n[std::size_t(row)]);
    sums.z += double(kept_.z_n[std::size_t(row)]);
  }
  return sums;
}

template <typename Queue, typename T>
LossSums Transformer<Queue, T>::evaluate(const MicroBatch& batch) {
  forward(batch, Pass::kEvaluate);
  return loss(batch, {}, {});
}

template <typename Queue, typename T>
LossSums Transformer<Queue, T>::train(const MicroBatch& batch, const LossScale& scale, std::span<float> gradients) {
  if (shape_.use != ModelUse::kTraining || std::ssize(gradients) != table_.gradient_elements)
    throw InternalError("training needs a model made for it and {} gradients, not {}", table_.gradient_elements,
                        gradients.size());
  forward(batch, Pass::kTrain);
  const LossSums sums = loss(batch, scale, gradients);
  backward(batch, gradients);
  return sums;
}

}  // namespace stoa::trainer

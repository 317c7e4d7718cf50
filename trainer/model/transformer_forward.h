#pragma once
/// Forward pass of Transformer; see transformer.h. Told in the order in which it happens.
#include <cmath>

#include "stoa/trainer/model/transformer.h"

namespace stoa::trainer {

template <typename Queue, typename T>
Transformer<Queue, T>::Transformer(Queue& queue, ModelParts parts)
    : queue_(queue),
      table_(parts.table),
      model_(table_.model),
      parameters_(parts.parameters),
      shape_(std::move(parts.shape)),
      gate_(parts.gate),
      rows_axis_(std::move(parts.tensor)),
      sizes_(table_, shape_.samples) {
  if (rows_axis_.parts() != table_.share.tensor_parts)
    throw InternalError("a table cut into {} parts needs as many ranks on the tensor axis, not {}",
                        table_.share.tensor_parts, rows_axis_.parts());
  allocate();
  if (gpt2()) return;
  const auto rope_floats = static_cast<std::size_t>(model_.context_length * model_.head_width);
  table_memory_ = PageBuffer(rope_floats * sizeof(float));
  rope_te_ = table_memory_.as<float>().first(rope_floats);
  rope_table(model_.rope_theta, model_.context_length, model_.head_width, rope_te_);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::allocate() {
  Carver planned(MemoryKind::kActivations, nullptr);
  ActivationCarver<T>(planned, table_, sizes_, shape_).carve();
  activation_memory_ = PageBuffer(planned.size_bytes());
  Carver kept(activation_memory_.bytes());
  slots_ = ActivationCarver<T>(kept, table_, sizes_, shape_).carve();

  const bool cut = rows_axis_.cut();
  const auto carve = [&](Carver& exchanged, Carver& work) {
    carve_exchanged<T>(exchanged, sizes_, shape_, rows_axis_.parts(), work_);
    carve_workspace<T>(cut ? work : exchanged, table_, sizes_, shape_, queue_.threads(), work_);
  };
  Carver exchange_size(MemoryKind::kWorkspace, nullptr), work_size(MemoryKind::kWorkspace, nullptr);
  carve(exchange_size, work_size);
  workspace_memory_ = PageBuffer(cut ? work_size.size_bytes() : exchange_size.size_bytes());
  Carver work(workspace_memory_.bytes());
  Carver exchanged(cut ? rows_axis_.allocate(exchange_size.size_bytes(), "activations exchanged")
                       : workspace_memory_.bytes());
  carve(exchanged, work);
}

template <typename Queue, typename T>
HeadColumns Transformer<Queue, T>::query_columns() const {
  return {tokens_, sizes_.columns, 0, sizes_.heads, sizes_.head_width};
}

template <typename Queue, typename T>
HeadColumns Transformer<Queue, T>::key_columns() const {
  return {tokens_, sizes_.columns, sizes_.query, sizes_.key_value_heads, sizes_.head_width};
}

template <typename Queue, typename T>
AttentionShape Transformer<Queue, T>::attention_shape(const MicroBatch& batch) const {
  AttentionShape shape = sizes_.attention;
  shape.samples = batch.samples;
  return shape;
}

template <typename Queue, typename T>
AttentionDropout Transformer<Queue, T>::attention_dropout(const Layer& layer, Pass kind) const {
  if (kind == Pass::kEvaluate || model_.dropout == 0) return {};
  return {.rate = static_cast<float>(model_.dropout),
          .key = philox_key(shape_.seed, RandomPurpose::kAttentionDropout, std::uint64_t(layer.at.number)),
          .step = layer.batch.step,
          .first_sample = layer.batch.first_sample,
          .first_head = table_.slices.heads.begin,
          .heads_total = model_.heads};
}

/// Number of this rank's first element of the residual stream in the step's global batch.
template <typename Queue, typename T>
std::uint64_t Transformer<Queue, T>::first_element(const MicroBatch& batch) const {
  return std::uint64_t((batch.first_sample * sizes_.context + mine_.begin) * sizes_.width);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::drop(std::span<T> x_md, const Layer& layer, Branch branch) {
  if (model_.dropout == 0) return;
  const auto site = std::uint64_t(2 * layer.at.number + static_cast<std::int64_t>(branch));
  dropout<T>(queue_,
             {static_cast<float>(model_.dropout), philox_key(shape_.seed, RandomPurpose::kResidualDropout, site),
              layer.batch.step, first_element(layer.batch)},
             x_md);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::drop_embedding(std::span<float> x_md, const MicroBatch& batch) {
  if (model_.dropout == 0) return;
  dropout<float>(queue_,
                 {static_cast<float>(model_.dropout), philox_key(shape_.seed, RandomPurpose::kEmbeddingDropout),
                  batch.step, first_element(batch)},
                 x_md);
}

/// The norm of this rank's rows, to their place in work_.h_nd.
template <typename Queue, typename T>
void Transformer<Queue, T>::norm_forward(std::span<const float> x_md, std::span<const T> branch_md, std::int64_t weight,
                                         std::int64_t bias, std::span<float> sum_md, std::span<float> mean_m,
                                         std::span<float> scale_m) {
  const auto epsilon = static_cast<float>(model_.norm_epsilon);
  const auto w_d = master(weight, sizes_.width);
  const auto y_md = own(work_.h_nd, sizes_.width);
  if (gpt2()) {
    layer_norm_forward<T>(queue_, x_md, branch_md, w_d, master(bias, sizes_.width), epsilon, sum_md, y_md,
                          rows(mean_m, 1), rows(scale_m, 1));
  } else {
    rms_norm_forward<T>(queue_, x_md, branch_md, w_d, epsilon, sum_md, y_md, rows(scale_m, 1));
  }
}

/// A product whose inputs are cut over the tensor axis: this rank's rows of the sum go to work_.branch_md.
template <typename Queue, typename T>
void Transformer<Queue, T>::row_product(std::span<const T> x_ni, std::int64_t weight, std::int64_t bias,
                                        std::int64_t inputs) {
  const std::int64_t width = sizes_.width;
  const auto w_di = product(weight, width * inputs);
  // One term of the sum brings the bias.
  const auto b_d = rows_axis_.index() == 0 ? master(bias, width) : std::span<const float>();
  const auto branch_md = rows(work_.branch_md, width);
  if (!rows_axis_.cut()) return linear_forward<T, T>(queue_, x_ni, w_di, b_d, tokens_, inputs, width, branch_md);
  const auto terms_nd = tokens(work_.terms_nd, width);
  linear_forward<T, float>(queue_, x_ni, w_di, b_d, tokens_, inputs, width, terms_nd);
  rows_axis_.scatter(terms_nd, tokens_, "sums of a row-parallel product");
  const auto sum_md = std::span<const float>(own(terms_nd, width));
  if constexpr (std::is_same_v<T, float>)
    std::copy(sum_md.begin(), sum_md.end(), branch_md.begin());
  else
    cast(queue_, sum_md, branch_md);
}

/// From work_.h_nd, this rank's rows, to work_.branch_md.
template <typename Queue, typename T>
void Transformer<Queue, T>::attention_forward_branch(const Layer& layer, Pass kind) {
  const LayerOffsets& at = layer.at;
  LayerActivations<T>& kept = layer.kept;
  const auto h_nd = tokens(work_.h_nd, sizes_.width);
  rows_axis_.gather(h_nd, tokens_, "attention norm output");
  const auto qkv_nc = tokens(kept.qkv_nc, sizes_.columns);
  const auto projected = model_.query_key_norm ? tokens(kept.raw_qkv_nc, sizes_.columns) : qkv_nc;
  linear_forward<T, T>(queue_, h_nd, product(at.query_key_value, sizes_.columns * sizes_.width),
                       master(at.query_key_value_bias, sizes_.columns), tokens_, sizes_.width, sizes_.columns,
                       projected);
  if (model_.query_key_norm) {
    std::copy(projected.begin(), projected.end(), qkv_nc.begin());
    const auto epsilon = static_cast<float>(model_.norm_epsilon);
    head_norm_forward<T>(queue_, projected, query_columns(), master(at.query_norm, model_.head_width), epsilon, qkv_nc,
                         tokens(kept.query_scale_nh, sizes_.heads));
    head_norm_forward<T>(queue_, projected, key_columns(), master(at.key_norm, model_.head_width), epsilon, qkv_nc,
                         tokens(kept.key_scale_nk, sizes_.key_value_heads));
  }
  if (!gpt2()) {
    rope<T>(queue_, qkv_nc, query_columns(), rope_te_, positions(layer.batch), RopeDirection::kForward);
    rope<T>(queue_, qkv_nc, key_columns(), rope_te_, positions(layer.batch), RopeDirection::kForward);
  }
  const auto heads_nhe = tokens(kept.heads_nhe, sizes_.query);
  attention_forward<T>(queue_, attention_shape(layer.batch), qkv_nc, layer.batch.document_begin_bt,
                       attention_dropout(layer, kind), heads_nhe, tokens(kept.lse_bht, sizes_.heads));
  row_product(heads_nhe, at.attention_output, at.attention_output_bias, sizes_.query);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::feed_forward_in(const Layer& layer) {
  const auto h_nd = tokens(work_.h_nd, sizes_.width);
  rows_axis_.gather(h_nd, tokens_, "feed-forward norm output");
  linear_forward<T, T>(queue_, h_nd, product(layer.at.feed_forward_in, sizes_.feed_forward_in * sizes_.width),
                       master(layer.at.feed_forward_in_bias, sizes_.feed_forward_in), tokens_, sizes_.width,
                       sizes_.feed_forward_in, tokens(layer.kept.feed_forward_in_ng, sizes_.feed_forward_in));
}

template <typename Queue, typename T>
void Transformer<Queue, T>::feed_forward_out(const Layer& layer) {
  row_product(activate(layer), layer.at.feed_forward_out, layer.at.feed_forward_out_bias, sizes_.feed_forward);
}

/// Documents and positions are indices into memory further down: what is wrong is said here.
template <typename Queue, typename T>
void Transformer<Queue, T>::check(const ChunkPass& pass) const {
  const MicroBatch& batch = pass.batch;
  if (pass.chunk < 0 || pass.chunk >= std::ssize(slots_) || pass.slot < 0 ||
      pass.slot >= std::ssize(slots_[std::size_t(pass.chunk)]))
    throw InternalError("there is no slot {} of a chunk {}", pass.slot, pass.chunk);
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

/// Takes the micro-batch at hand.
template <typename Queue, typename T>
void Transformer<Queue, T>::begin(const ChunkPass& pass) {
  tokens_ = pass.batch.samples * sizes_.context;
  mine_ = rows_axis_.slice(tokens_);
}

template <typename Queue, typename T>
typename Transformer<Queue, T>::Layer Transformer<Queue, T>::layer_of(const ChunkPass& pass, std::int64_t in_chunk) {
  SlotActivations<T>& slot = slots_[std::size_t(pass.chunk)][std::size_t(pass.slot)];
  const std::int64_t index = table_.chunks[std::size_t(pass.chunk)].begin + in_chunk;
  return {.at = table_.layers[std::size_t(index)],
          .kept = slot.layers[std::size_t(in_chunk)],
          .deferred = shape_.split_backward ? &slot.deferred[std::size_t(in_chunk)] : nullptr,
          .batch = pass.batch};
}

/// This rank's rows of the embedded tokens.
template <typename Queue, typename T>
std::span<const float> Transformer<Queue, T>::embed(const MicroBatch& batch, std::span<float> x_md, Pass kind) {
  await(table_.embedding_block);
  if (table_.positions >= 0) await(table_.positions_block);
  const parallel::Slice slice = table_.slices.vocabulary;
  const auto table_vd = master(table_.embedding, slice.size() * sizes_.width);
  // One term of the sum brings the positions.
  const auto learned_td =
      rows_axis_.index() == 0 ? master(table_.positions, sizes_.context * sizes_.width) : std::span<const float>();
  const auto x_nd = rows_axis_.cut() ? tokens(work_.terms_nd, sizes_.width) : x_md;
  embedding_forward(queue_, batch.tokens_bt, table_vd, learned_td, sizes_.width, positions(batch), x_nd, slice.begin);
  if (rows_axis_.cut()) {
    rows_axis_.scatter(x_nd, tokens_, "embedded tokens");
    const auto mine = own(x_nd, sizes_.width);
    std::copy(mine.begin(), mine.end(), x_md.begin());
  }
  if (kind == Pass::kTrain) drop_embedding(x_md, batch);
  return x_md;
}

template <typename Queue, typename T>
void Transformer<Queue, T>::run_forward(const ChunkPass& pass, std::span<const float> x_in, std::span<float> x_out,
                                        Pass kind) {
  check(pass);
  begin(pass);
  const auto branch_md = rows(work_.branch_md, sizes_.width);
  SlotActivations<T>& slot = slots_[std::size_t(pass.chunk)][std::size_t(pass.slot)];
  const auto first_md = rows(slot.layers[0].attention_x_md, sizes_.width);
  std::span<const float> x_md = first_md;
  if (begins(pass))
    embed(pass.batch, first_md, kind);
  else
    std::copy(x_in.begin(), x_in.end(), first_md.begin());
  std::span<const T> pending;  // the branch that the next norm adds to the stream
  for (std::int64_t in_chunk = 0; in_chunk < std::ssize(slot.layers); ++in_chunk) {
    const Layer layer = layer_of(pass, in_chunk);
    LayerActivations<T>& kept = layer.kept;
    await(layer.at.block);
    const auto attention_x = rows(kept.attention_x_md, sizes_.width);
    norm_forward(x_md, pending, layer.at.attention_norm, layer.at.attention_norm_bias, attention_x,
                 kept.attention_mean_m, kept.attention_scale_m);
    attention_forward_branch(layer, kind);
    if (kind == Pass::kTrain) drop(branch_md, layer, Branch::kAttention);
    const auto feed_forward_x = rows(kept.feed_forward_x_md, sizes_.width);
    norm_forward(attention_x, branch_md, layer.at.feed_forward_norm, layer.at.feed_forward_norm_bias, feed_forward_x,
                 kept.feed_forward_mean_m, kept.feed_forward_scale_m);
    feed_forward_in(layer);
    feed_forward_out(layer);
    if (kind == Pass::kTrain) drop(branch_md, layer, Branch::kFeedForward);
    x_md = feed_forward_x;
    pending = branch_md;
  }
  if (!ends(pass)) return add_branch<T>(queue_, x_md, pending, x_out);
  await(table_.final_norm_block);
  norm_forward(x_md, pending, table_.final_norm, table_.final_norm_bias, rows(slot.final_x_md, sizes_.width),
               slot.final_mean_m, slot.final_scale_m);
}

template <typename Queue, typename T>
void Transformer<Queue, T>::forward(const ChunkPass& pass, std::span<const float> x_in, std::span<float> x_out) {
  if (shape_.use != ModelUse::kTraining) throw InternalError("training needs a model made for it");
  run_forward(pass, x_in, x_out, Pass::kTrain);
}

template <typename Queue, typename T>
LossSums Transformer<Queue, T>::evaluate(const ChunkPass& pass, std::span<const float> x_in, std::span<float> x_out) {
  run_forward(pass, x_in, x_out, Pass::kEvaluate);
  return ends(pass) ? loss(pass.batch, {}, nullptr) : LossSums{};
}

}  // namespace stoa::trainer

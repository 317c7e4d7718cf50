#pragma once
/// The head of Transformer; see transformer.h: projection to the vocabulary, loss and both gradients of the projection,
/// chunk of rows by chunk: logits exist for one chunk only.
#include "stoa/trainer/model/transformer.h"

namespace stoa::trainer {

/// Losses of the rows from `row` on and, where gradients are asked for, those of the logits. Where the vocabulary is
/// cut, the ranks exchange three numbers a row (notes of Megatron-LM's vocabulary-parallel cross entropy,
/// arXiv 1909.08053), and each has the losses of all rows.
template <typename Queue, typename T>
void Transformer<Queue, T>::chunk_loss(const MicroBatch& batch, std::int64_t row, std::span<float> logits_rv,
                                       const LossScale& scale, std::span<T> dlogits_rv) {
  const std::int64_t stride = sizes_.vocabulary;
  const auto count = std::size_t(std::ssize(logits_rv) / stride);
  const auto targets_r = batch.targets_bt.subspan(std::size_t(row), count);
  const auto loss_r = work_.loss_n.subspan(std::size_t(row), count);
  const auto z_r = work_.z_n.subspan(std::size_t(row), count);
  if (!rows_axis_.cut())
    return cross_entropy<T>(queue_, logits_rv, model_.vocabulary_size, stride, targets_r, scale.scale, scale.z_loss,
                            loss_r, z_r, dlogits_rv);
  const parallel::Slice here = table_.slices.vocabulary;
  const VocabularySlice slice{
      .logits_rv = logits_rv, .first = here.begin, .count = here.size(), .row_stride = stride, .targets_r = targets_r};
  const auto terms_r = work_.loss_terms_r.first(count);
  const auto terms_pr = work_.loss_terms_pr.first(count * std::size_t(rows_axis_.parts()));
  const CrossEntropyRows of_rows{.loss_r = loss_r, .z_r = z_r, .lse_r = work_.lse_r.first(count)};
  cross_entropy_terms(queue_, slice, terms_r);
  rows_axis_.gather_equal<CrossEntropyTerms>(terms_r, terms_pr, "loss terms");
  cross_entropy_combine(queue_, terms_pr, targets_r, of_rows);
  if (!dlogits_rv.empty())
    cross_entropy_gradient<T>(queue_, slice, of_rows, {.scale = scale.scale, .z_loss = scale.z_loss}, dlogits_rv);
}

/// From the final norm's output, this rank's rows in work_.h_nd. With a sink the gradient of that output is left in
/// work_.dh_md.
template <typename Queue, typename T>
LossSums Transformer<Queue, T>::loss(const MicroBatch& batch, const LossScale& scale, GradientSink* sink) {
  const std::int64_t width = sizes_.width, vocabulary = sizes_.vocabulary;
  await(table_.head == table_.embedding ? table_.embedding_block : table_.head_block);
  const auto head_vd = product(table_.head, vocabulary * width);
  const auto h_nd = tokens(work_.h_nd, width);
  rows_axis_.gather(h_nd, tokens_, "final norm output");
  const auto part = [&](auto span_nd, std::int64_t row, std::int64_t count) {
    return span_nd.subspan(std::size_t(row * width), std::size_t(count * width));
  };
  for (std::int64_t row = 0; row < tokens_; row += sizes_.loss_rows) {
    const std::int64_t count = std::min(sizes_.loss_rows, tokens_ - row);
    const auto h_rd = std::span<const T>(part(h_nd, row, count));
    const auto logits = work_.logits_rv.first(std::size_t(count * vocabulary));
    linear_forward<T, float>(queue_, h_rd, head_vd, {}, count, width, vocabulary, logits);
    const auto dlogits = sink == nullptr ? std::span<T>() : work_.dlogits_rv.first(logits.size());
    chunk_loss(batch, row, logits, scale, dlogits);
    if (sink == nullptr) continue;
    if (rows_axis_.cut())
      linear_backward_input<T, float>(queue_, dlogits, head_vd, count, width, vocabulary,
                                      part(work_.terms_nd, row, count));
    else
      linear_backward_input<T, T>(queue_, dlogits, head_vd, count, width, vocabulary, part(work_.dh_md, row, count));
    linear_backward_weight<T>(queue_, dlogits, h_rd, count, width, vocabulary,
                              sink->part(table_.head_block, table_.head_gradient, vocabulary * width));
  }
  if (sink != nullptr) {
    sink->complete(table_.head_block);
    if (rows_axis_.cut()) {
      const auto terms_nd = tokens(work_.terms_nd, width);
      take_scattered(terms_nd, rows_axis_.start_scatter(terms_nd, tokens_, "gradient of the final norm output"));
    }
  }
  LossSums sums;
  for (std::int64_t row = 0; row < tokens_; ++row) {
    sums.loss += double(work_.loss_n[std::size_t(row)]);
    sums.z += double(work_.z_n[std::size_t(row)]);
  }
  return sums;
}

}  // namespace stoa::trainer

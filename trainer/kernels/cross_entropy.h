#pragma once
/// Cross entropy of one chunk of rows, so that logits exist for one chunk only: forward and backward at once where a
/// rank holds the whole vocabulary, in three steps with one all-gather between them where ranks hold slices of it.
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"

namespace stoa::trainer {

/// For each row r of logits_rv (V true columns of row_stride), with lse = log(sum_v exp(logit)):
///   loss_r  = lse - logit[target_r]                          (nats, without the z term)
///   z_r     = lse^2
///   dlogits = scale * (softmax - onehot(target) + 2 * z_loss * lse * softmax)
/// dlogits_rv has the same stride; columns V .. row_stride are written zero. A target of -1 gives loss 0, z 0, gradient
/// 0. dlogits_rv may be empty (evaluation); for T = float it may be the memory of logits_rv.
template <typename T>
void cross_entropy(cpu::Queue& queue, std::span<const float> logits_rv, std::int64_t vocabulary,
                   std::int64_t row_stride, std::span<const std::int32_t> targets_r, float scale, float z_loss,
                   std::span<float> loss_r, std::span<float> z_r, std::span<T> dlogits_rv);

/// What one rank holds of R rows: the logits of the tokens first .. first + count - 1 in rows of row_stride, of which
/// the columns after count are padding. count may be 0. Targets are numbers in the whole vocabulary, or -1.
struct VocabularySlice {
  std::span<const float> logits_rv;
  std::int64_t first = 0;
  std::int64_t count = 0;
  std::int64_t row_stride = 0;
  std::span<const std::int32_t> targets_r;
};

/// What a row says to the other ranks: three floats, in this order.
struct CrossEntropyTerms {
  float largest;       ///< of the slice's logits; minus infinity where there is none
  float total;         ///< sum over the slice of exp(logit - largest)
  float target_logit;  ///< 0 where the target is of another slice or -1
};
/// Rows with the target -1 are not read and say {-inf, 0, 0}.
void cross_entropy_terms(cpu::Queue& queue, const VocabularySlice& slice, std::span<CrossEntropyTerms> terms_r);

/// One number a row, of the whole vocabulary.
struct CrossEntropyRows {
  std::span<float> loss_r;
  std::span<float> z_r;
  std::span<float> lse_r;
};
/// From the terms of all ranks, [rank, r] in the order of ranks, which every rank gives in the same bits:
///   lse_r = largest + log(sum over ranks of total * exp(largest of the rank - largest)),  loss_r, z_r as above.
/// A target of -1 gives 0, 0, 0. A total passes between ranks in fp32: losses are within 2^-23 (absolute) and an ulp of
/// those of cross_entropy. REQUIRES: the slices are the whole vocabulary, each column once.
void cross_entropy_combine(cpu::Queue& queue, std::span<const CrossEntropyTerms> terms_pr,
                           std::span<const std::int32_t> targets_r, const CrossEntropyRows& rows);

struct CrossEntropyScale {
  float scale = 1;
  float z_loss = 0;
};
/// dlogits of the slice, as above, from loss_r and lse_r. No communication. dlogits_rv has the slice's stride; the
/// columns from count on are written zero; for T = float it may be the memory of the logits.
template <typename T>
void cross_entropy_gradient(cpu::Queue& queue, const VocabularySlice& slice, const CrossEntropyRows& rows,
                            const CrossEntropyScale& scale, std::span<T> dlogits_rv);

}  // namespace stoa::trainer

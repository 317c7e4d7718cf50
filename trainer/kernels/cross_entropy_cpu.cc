#include <algorithm>
#include <cmath>
#include <limits>

#include "stoa/trainer/kernels/cpu_select.h"
#include "stoa/trainer/kernels/cross_entropy.h"
#include "stoa/trainer/kernels/cross_entropy_loops.h"

namespace stoa::trainer {
namespace {

template <typename T>
const cpu::CrossEntropyLoops<T>& loops_of(const cpu::Queue& queue) {
  return cpu::select_loops(queue.isa(), cpu::plain::cross_entropy_loops, cpu::avx2::cross_entropy_loops,
                           cpu::avx512::cross_entropy_loops)
      .template of<T>();
}

/// body(r) for each row, on all threads.
template <typename Body>
void for_each_row(cpu::Queue& queue, std::size_t rows, const Body& body) {
  queue.parallel_for(static_cast<std::int64_t>(rows), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) body(r);
  });
}

bool holds(const VocabularySlice& slice, std::int32_t token) {
  return token >= slice.first && token < slice.first + slice.count;
}

/// The largest logit and the sum of a row's terms are those of the ranks', added in their order.
double log_sum_exp(std::span<const CrossEntropyTerms> terms_pr, std::size_t row, std::size_t rows) {
  float largest = -std::numeric_limits<float>::infinity();
  for (std::size_t at = row; at < terms_pr.size(); at += rows) largest = std::max(largest, terms_pr[at].largest);
  double total = 0;
  for (std::size_t at = row; at < terms_pr.size(); at += rows)
    total += terms_pr[at].total * std::exp(static_cast<double>(terms_pr[at].largest) - largest);
  return largest + std::log(total);
}

}  // namespace

template <typename T>
void cross_entropy(cpu::Queue& queue, std::span<const float> logits_rv, std::int64_t vocabulary,
                   std::int64_t row_stride, std::span<const std::int32_t> targets_r, float scale, float z_loss,
                   std::span<float> loss_r, std::span<float> z_r, std::span<T> dlogits_rv) {
  const auto& loops = loops_of<T>(queue);
  const auto row = [&](std::int64_t r) {
    const float* logits = logits_rv.data() + r * row_stride;
    T* dlogits = dlogits_rv.empty() ? nullptr : dlogits_rv.data() + r * row_stride;
    const auto at = static_cast<std::size_t>(r);
    const std::int32_t target = targets_r[at];
    if (target < 0) {
      loss_r[at] = 0;
      z_r[at] = 0;
      if (dlogits != nullptr) std::fill_n(dlogits, row_stride, T{});
      return;
    }
    const cpu::SoftmaxSums sums = loops.sums(logits, vocabulary);
    const double lse = sums.largest + std::log(sums.total);
    loss_r[at] = static_cast<float>(lse - logits[target]);
    z_r[at] = static_cast<float>(lse * lse);
    if (dlogits == nullptr) return;
    const double factor = scale * (1.0 + 2.0 * z_loss * lse);
    const double of_target = factor * std::exp(logits[target] - lse) - scale;
    loops.gradient(logits, vocabulary, static_cast<float>(lse), static_cast<float>(factor), dlogits);
    dlogits[target] = from_float<T>(static_cast<float>(of_target));
    std::fill_n(dlogits + vocabulary, row_stride - vocabulary, T{});
  };
  for_each_row(queue, targets_r.size(), row);
}

void cross_entropy_terms(cpu::Queue& queue, const VocabularySlice& slice, std::span<CrossEntropyTerms> terms_r) {
  const auto& loops = loops_of<float>(queue);
  for_each_row(queue, slice.targets_r.size(), [&](std::int64_t r) {
    const float* logits = slice.logits_rv.data() + r * slice.row_stride;
    const auto at = static_cast<std::size_t>(r);
    const std::int32_t target = slice.targets_r[at];
    terms_r[at] = {.largest = -std::numeric_limits<float>::infinity(), .total = 0, .target_logit = 0};
    if (target < 0 || slice.count == 0) return;
    const cpu::SoftmaxSums sums = loops.sums(logits, slice.count);
    terms_r[at].largest = sums.largest;
    terms_r[at].total = static_cast<float>(sums.total);
    if (holds(slice, target)) terms_r[at].target_logit = logits[target - slice.first];
  });
}

void cross_entropy_combine(cpu::Queue& queue, std::span<const CrossEntropyTerms> terms_pr,
                           std::span<const std::int32_t> targets_r, const CrossEntropyRows& rows) {
  for_each_row(queue, targets_r.size(), [&](std::int64_t r) {
    const auto row = static_cast<std::size_t>(r);
    double loss = 0;
    double lse = 0;
    if (targets_r[row] >= 0) {
      lse = log_sum_exp(terms_pr, row, targets_r.size());
      loss = lse;
      // One rank's is not zero.
      for (std::size_t at = row; at < terms_pr.size(); at += targets_r.size()) loss -= terms_pr[at].target_logit;
    }
    rows.loss_r[row] = static_cast<float>(loss);
    rows.z_r[row] = static_cast<float>(lse * lse);
    rows.lse_r[row] = static_cast<float>(lse);
  });
}

template <typename T>
void cross_entropy_gradient(cpu::Queue& queue, const VocabularySlice& slice, const CrossEntropyRows& rows,
                            const CrossEntropyScale& scale, std::span<T> dlogits_rv) {
  const auto& loops = loops_of<T>(queue);
  for_each_row(queue, slice.targets_r.size(), [&](std::int64_t r) {
    const auto at = static_cast<std::size_t>(r);
    const std::int32_t target = slice.targets_r[at];
    T* dlogits = dlogits_rv.data() + r * slice.row_stride;
    std::fill_n(dlogits + slice.count, slice.row_stride - slice.count, T{});
    if (target < 0) {
      std::fill_n(dlogits, slice.count, T{});
      return;
    }
    const double factor = scale.scale * (1.0 + 2.0 * scale.z_loss * rows.lse_r[at]);
    loops.gradient(slice.logits_rv.data() + r * slice.row_stride, slice.count, rows.lse_r[at],
                   static_cast<float>(factor), dlogits);
    // By the loss, not by lse, which is large: near a probability of 1 their difference would lose its digits.
    const double of_target = factor * std::exp(-static_cast<double>(rows.loss_r[at])) - scale.scale;
    if (holds(slice, target)) dlogits[target - slice.first] = from_float<T>(static_cast<float>(of_target));
  });
}

template void cross_entropy<float>(cpu::Queue&, std::span<const float>, std::int64_t, std::int64_t,
                                   std::span<const std::int32_t>, float, float, std::span<float>, std::span<float>,
                                   std::span<float>);
template void cross_entropy<bf16>(cpu::Queue&, std::span<const float>, std::int64_t, std::int64_t,
                                  std::span<const std::int32_t>, float, float, std::span<float>, std::span<float>,
                                  std::span<bf16>);
template void cross_entropy_gradient<float>(cpu::Queue&, const VocabularySlice&, const CrossEntropyRows&,
                                            const CrossEntropyScale&, std::span<float>);
template void cross_entropy_gradient<bf16>(cpu::Queue&, const VocabularySlice&, const CrossEntropyRows&,
                                           const CrossEntropyScale&, std::span<bf16>);

}  // namespace stoa::trainer

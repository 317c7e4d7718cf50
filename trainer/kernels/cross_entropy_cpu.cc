#include <algorithm>
#include <cmath>

#include "stoa/trainer/kernels/cpu_select.h"
#include "stoa/trainer/kernels/cross_entropy.h"
#include "stoa/trainer/kernels/cross_entropy_loops.h"

namespace stoa::trainer {

template <typename T>
void cross_entropy(cpu::Queue& queue, std::span<const float> logits_rv, std::int64_t vocabulary,
                   std::int64_t row_stride, std::span<const std::int32_t> targets_r, float scale, float z_loss,
                   std::span<float> loss_r, std::span<float> z_r, std::span<T> dlogits_rv) {
  const auto& loops = cpu::select_loops(queue.isa(), cpu::plain::cross_entropy_loops, cpu::avx2::cross_entropy_loops,
                                        cpu::avx512::cross_entropy_loops)
                          .template of<T>();
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
  queue.parallel_for(static_cast<std::int64_t>(targets_r.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t r = begin; r < end; ++r) row(r);
  });
}

template void cross_entropy<float>(cpu::Queue&, std::span<const float>, std::int64_t, std::int64_t,
                                   std::span<const std::int32_t>, float, float, std::span<float>, std::span<float>,
                                   std::span<float>);
template void cross_entropy<bf16>(cpu::Queue&, std::span<const float>, std::int64_t, std::int64_t,
                                  std::span<const std::int32_t>, float, float, std::span<float>, std::span<float>,
                                  std::span<bf16>);

}  // namespace stoa::trainer

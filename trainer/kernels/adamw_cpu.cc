#include "stoa/trainer/kernels/adamw.h"

#include <cmath>

#include "stoa/trainer/kernels/adamw_loops.h"
#include "stoa/trainer/kernels/cpu_select.h"

namespace stoa::trainer {
namespace {

const cpu::AdamWLoops& loops_of(const cpu::Queue& queue) {
  return cpu::select_loops(queue.isa(), cpu::plain::adamw_loops, cpu::avx2::adamw_loops, cpu::avx512::adamw_loops);
}

cpu::AdamWFactors factors_of(const AdamWStep& step) {
  const double beta1 = step.beta1;
  const double beta2 = step.beta2;
  const double lr = step.learning_rate;
  const auto t = static_cast<double>(step.step);
  return {.gradient_scale = step.gradient_scale,
          .decay = static_cast<float>(1 - lr * step.weight_decay),
          .one_less_beta1 = static_cast<float>(1 - beta1),
          .beta2 = step.beta2,
          .one_less_beta2 = static_cast<float>(1 - beta2),
          .correction2 = static_cast<float>(std::sqrt(1 - std::pow(beta2, t))),
          .epsilon = step.epsilon,
          .step_size = static_cast<float>(lr / (1 - std::pow(beta1, t)))};
}

}  // namespace

void adamw_update(cpu::Queue& queue, const AdamWStep& step, std::span<const float> gradient_p, std::span<float> w_p,
                  std::span<float> m_p, std::span<float> v_p, std::span<bf16> copy_p) {
  constexpr std::int64_t kGrain = 16384;
  const cpu::AdamWFactors factors = factors_of(step);
  const cpu::AdamWElements elements{.gradient = gradient_p.data(),
                                    .w = w_p.data(),
                                    .m = m_p.data(),
                                    .v = v_p.data(),
                                    .copy = copy_p.empty() ? nullptr : copy_p.data()};
  const auto& loops = loops_of(queue);
  queue.parallel_for(static_cast<std::int64_t>(w_p.size()), kGrain,
                     [&](std::int64_t begin, std::int64_t end) { loops.update(factors, elements, begin, end); });
}

void sum_of_squares(cpu::Queue& queue, std::span<const float> x, std::span<double> partial_c) {
  const auto& loops = loops_of(queue);
  const auto count = static_cast<std::int64_t>(x.size());
  queue.parallel_for(static_cast<std::int64_t>(partial_c.size()), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = begin; chunk < end; ++chunk) {
      const std::int64_t first = chunk * kNormChunk;
      const std::int64_t left = count - first;
      partial_c[static_cast<std::size_t>(chunk)] =
          loops.sum_of_squares(x.data() + first, left < kNormChunk ? left : kNormChunk);
    }
  });
}

}  // namespace stoa::trainer

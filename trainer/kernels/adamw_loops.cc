#include "stoa/trainer/kernels/adamw_loops.h"

#include "stoa/trainer/kernels/loop_values.h"

namespace stoa::trainer::cpu::STOA_ISA {
/// Where no bf16 copy is kept. Outside the unnamed namespace, so that its store is an overload of the others.
struct NoCopy {};
static inline void store(NoCopy, std::int64_t /*i*/, float /*value*/) {}

namespace {

template <typename Copy>
[[gnu::always_inline]] inline void update_into(const AdamWFactors factors, const AdamWElements& elements, Copy copy,
                                               std::int64_t begin, std::int64_t end) {
  const float* gradient = elements.gradient;
  float* w = elements.w;
  float* m = elements.m;
  float* v = elements.v;
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float g = gradient[i] * factors.gradient_scale;
    const float m_i = m[i] + factors.one_less_beta1 * (g - m[i]);
    const float v_i = v[i] * factors.beta2 + factors.one_less_beta2 * g * g;
    const float denominator = __builtin_sqrtf(v_i) / factors.correction2 + factors.epsilon;
    const float w_i = w[i] * factors.decay - factors.step_size * m_i / denominator;
    m[i] = m_i;
    v[i] = v_i;
    w[i] = w_i;
    store(copy, i, w_i);
  }
}

void update(const AdamWFactors& factors, const AdamWElements& elements, std::int64_t begin, std::int64_t end) {
  if (elements.copy != nullptr) {
    update_into(factors, elements, elements.copy, begin, end);
  } else {
    update_into(factors, elements, NoCopy{}, begin, end);
  }
}

double sum_of_squares(const float* x, std::int64_t count) {
  constexpr std::int64_t kLanes = 16;
  double lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    // The square of a float is exact in double, so a fused multiply-add gives the same bits as two operations.
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      const double value = x[i + lane];
      lanes[lane] += value * value;
    }
  }
  for (std::int64_t lane = 0; i + lane < count; ++lane) {
    const double value = x[i + lane];
    lanes[lane] += value * value;
  }
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

const AdamWLoops adamw_loops = {&update, &sum_of_squares};

}  // namespace stoa::trainer::cpu::STOA_ISA

#pragma once
/// AdamW with decoupled weight decay (arXiv 1711.05101).
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"

namespace stoa::trainer {

struct AdamWStep {
  float learning_rate = 0;
  float beta1 = 0;
  float beta2 = 0;
  float epsilon = 0;
  float weight_decay = 0;
  std::int64_t step = 1;     ///< counted from 1, for the bias corrections
  float gradient_scale = 1;  ///< the clipping coefficient; the gradient buffer itself is not changed
};

/// m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2;
/// w = w - lr * decay * w - lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + epsilon), as PyTorch orders it.
/// copy_p: the bf16 copy of w used in products; empty where there is none.
void adamw_update(cpu::Queue& queue, const AdamWStep& step, std::span<const float> gradient_p, std::span<float> w_p,
                  std::span<float> m_p, std::span<float> v_p, std::span<bf16> copy_p);

/// Sums of squares of fixed chunks of kNormChunk elements, each in double: partial_c[c]. Independent of threads and ISA
/// cut.
inline constexpr std::int64_t kNormChunk = 16384;
void sum_of_squares(cpu::Queue& queue, std::span<const float> x, std::span<double> partial_c);

}  // namespace stoa::trainer

#pragma once
/// Inner loops of AdamW over elements begin .. end.
#include <cstdint>

#include "stoa/trainer/kernels/bf16.h"

namespace stoa::trainer::cpu {

/// The step's numbers after the arithmetic that is done once, in double.
struct AdamWFactors {
  float gradient_scale;
  float decay;  ///< 1 - lr * weight_decay
  float one_less_beta1;
  float beta2;
  float one_less_beta2;
  float correction2;  ///< sqrt(1 - beta2^t)
  float epsilon;
  float step_size;  ///< lr / (1 - beta1^t)
};

struct AdamWElements {
  const float* gradient;
  float* w;
  float* m;
  float* v;
  bf16* copy;  ///< null: none
};

struct AdamWLoops {
  void (*update)(const AdamWFactors& factors, const AdamWElements& elements, std::int64_t begin, std::int64_t end);
  /// In double over 16 lanes that do not depend on the instruction set.
  double (*sum_of_squares)(const float* x, std::int64_t count);
};

namespace plain {
extern const AdamWLoops adamw_loops;
}
namespace avx2 {
extern const AdamWLoops adamw_loops;
}
namespace avx512 {
extern const AdamWLoops adamw_loops;
}

}  // namespace stoa::trainer::cpu

#pragma once
/// Inner loops of cross entropy over one row of V logits; meaning of the names: cross_entropy.h.
#include <cstdint>

#include "stoa/trainer/kernels/typed_loops.h"

namespace stoa::trainer::cpu {

/// With p_v = exp(logit_v - largest): largest and the sum of p.
struct SoftmaxSums {
  float largest;
  double total;
};

template <typename T>
struct CrossEntropyLoops {
  SoftmaxSums (*sums)(const float* logits, std::int64_t vocabulary);
  /// dlogits_v = factor * exp(logit_v - lse); the target's own term is the caller's. May be in place.
  void (*gradient)(const float* logits, std::int64_t vocabulary, float lse, float factor, T* dlogits);
};

namespace plain {
extern const TypedLoops<CrossEntropyLoops> cross_entropy_loops;
}
namespace avx2 {
extern const TypedLoops<CrossEntropyLoops> cross_entropy_loops;
}
namespace avx512 {
extern const TypedLoops<CrossEntropyLoops> cross_entropy_loops;
}

}  // namespace stoa::trainer::cpu

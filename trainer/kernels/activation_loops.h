#pragma once
/// Inner loops of the feed-forward block's elementwise parts; the meaning of each name stands in activation.h.
#include <cstdint>

#include "stoa/trainer/kernels/typed_loops.h"

namespace stoa::trainer::cpu {

template <typename T>
struct ActivationLoops {
  /// Rows begin .. end of `width` gates and as many ups.
  void (*swiglu_forward)(const T* gate_up, std::int64_t width, T* y, std::int64_t begin, std::int64_t end);
  void (*swiglu_backward)(const T* dy, const T* gate_up, std::int64_t width, T* dgate_up, std::int64_t begin,
                          std::int64_t end);
  /// Elements begin .. end.
  void (*gelu_forward)(const T* x, T* y, std::int64_t begin, std::int64_t end);
  void (*gelu_backward)(const T* dy, const T* x, T* dx, std::int64_t begin, std::int64_t end);
};

namespace plain {
extern const TypedLoops<ActivationLoops> activation_loops;
}
namespace avx2 {
extern const TypedLoops<ActivationLoops> activation_loops;
}
namespace avx512 {
extern const TypedLoops<ActivationLoops> activation_loops;
}

}  // namespace stoa::trainer::cpu

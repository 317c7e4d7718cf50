#pragma once
/// Inner loops of RMSNorm over rows begin .. end; the meaning of each name stands in rms_norm.h.
#include <cstdint>

#include "stoa/trainer/kernels/typed_loops.h"

namespace stoa::trainer::cpu {

template <typename T>
struct RmsNormRows {
  const float* x_nd;
  const T* branch_nd;  ///< null: nothing to add
  const float* w_d;
  float epsilon;
  std::int64_t width;
  float* sum_nd;
  T* y_nd;
  float* inv_rms_n;
};

template <typename T>
struct RmsNormGradientRows {
  const T* dy_nd;
  const float* x_nd;
  const float* w_d;
  const float* inv_rms_n;
  std::int64_t width;
  float* dx_nd;
};

template <typename T>
struct RmsNormLoops {
  void (*forward)(const RmsNormRows<T>& rows, std::int64_t begin, std::int64_t end);
  /// Reads inv_rms_n instead of computing it.
  void (*recompute)(const RmsNormRows<T>& rows, const float* inv_rms_n, std::int64_t begin, std::int64_t end);
  /// partial_d is written: the rows' sum of dy * x * inv_rms.
  void (*backward)(const RmsNormGradientRows<T>& rows, std::int64_t begin, std::int64_t end, float* partial_d);
};

namespace plain {
extern const TypedLoops<RmsNormLoops> rms_norm_loops;
}
namespace avx2 {
extern const TypedLoops<RmsNormLoops> rms_norm_loops;
}
namespace avx512 {
extern const TypedLoops<RmsNormLoops> rms_norm_loops;
}

}  // namespace stoa::trainer::cpu

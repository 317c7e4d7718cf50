#pragma once
/// Inner loops of LayerNorm over rows begin .. end; the meaning of each name stands in layer_norm.h.
#include <cstdint>

#include "stoa/trainer/kernels/typed_loops.h"

namespace stoa::trainer::cpu {

template <typename T>
struct LayerNormRows {
  const float* x_nd;
  const T* branch_nd;  ///< null: nothing to add
  const float* w_d;
  const float* b_d;
  float epsilon;
  std::int64_t width;
  float* sum_nd;
  T* y_nd;
  float* mean_n;
  float* inv_std_n;
};

template <typename T>
struct LayerNormGradientRows {
  const T* dy_nd;
  const float* x_nd;
  const float* w_d;
  const float* mean_n;
  const float* inv_std_n;
  std::int64_t width;
  float* dx_nd;
};

template <typename T>
struct LayerNormLoops {
  void (*forward)(const LayerNormRows<T>& rows, std::int64_t begin, std::int64_t end);
  /// Reads mean_n and inv_std_n instead of computing them.
  void (*recompute)(const LayerNormRows<T>& rows, const float* mean_n, const float* inv_std_n, std::int64_t begin,
                    std::int64_t end);
  /// Both partial sums are written: of dy * (x - mean) * inv_std and of dy.
  void (*backward)(const LayerNormGradientRows<T>& rows, std::int64_t begin, std::int64_t end, float* partial_w_d,
                   float* partial_b_d);
};

namespace plain {
extern const TypedLoops<LayerNormLoops> layer_norm_loops;
}
namespace avx2 {
extern const TypedLoops<LayerNormLoops> layer_norm_loops;
}
namespace avx512 {
extern const TypedLoops<LayerNormLoops> layer_norm_loops;
}

}  // namespace stoa::trainer::cpu

#pragma once
/// Inner loops of the query-key norm over rows begin .. end; the meaning of each name stands in head_norm.h.
#include <cstdint>

#include "stoa/trainer/kernels/heads.h"
#include "stoa/trainer/kernels/typed_loops.h"

namespace stoa::trainer::cpu {

template <typename T>
struct HeadNormRows {
  const T* x_nc;
  const float* w_e;
  float epsilon;
  T* y_nc;
  float* inv_rms_nh;
};

template <typename T>
struct HeadNormGradientRows {
  const T* x_nc;
  const float* w_e;
  const float* inv_rms_nh;
  T* d_nc;
};

template <typename T>
struct HeadNormLoops {
  void (*forward)(const HeadNormRows<T>& rows, const HeadColumns& columns, std::int64_t begin, std::int64_t end);
  /// partial_e is written: the sum of dy * x * inv_rms over rows and heads.
  void (*backward)(const HeadNormGradientRows<T>& rows, const HeadColumns& columns, std::int64_t begin,
                   std::int64_t end, float* partial_e);
};

namespace plain {
extern const TypedLoops<HeadNormLoops> head_norm_loops;
}
namespace avx2 {
extern const TypedLoops<HeadNormLoops> head_norm_loops;
}
namespace avx512 {
extern const TypedLoops<HeadNormLoops> head_norm_loops;
}

}  // namespace stoa::trainer::cpu

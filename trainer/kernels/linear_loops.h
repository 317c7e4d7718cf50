#pragma once
/// Matrix products without a library, for Isa::kPlain: rows begin .. end of the result. Each element is one sum in the
/// order of the inner index, so the cut into rows cannot change it. Meaning of the names: linear.h.
#include <cstdint>

#include "stoa/trainer/kernels/typed_loops.h"

namespace stoa::trainer::cpu {

struct LinearShape {
  std::int64_t rows;
  std::int64_t inputs;
  std::int64_t outputs;
};

template <typename T>
struct LinearLoops {
  void (*forward)(const LinearShape& shape, const T* x_nd, const T* w_fd, const float* b_f, float* y_f, std::int64_t n);
  void (*backward_input)(const LinearShape& shape, const T* dy_nf, const T* w_fd, float* dx_d, std::int64_t n);
  void (*backward_weight)(const LinearShape& shape, const T* dy_nf, const T* x_nd, float* dw_fd, std::int64_t begin,
                          std::int64_t end);
};

namespace plain {
extern const TypedLoops<LinearLoops> linear_loops;
}
namespace avx2 {
extern const TypedLoops<LinearLoops> linear_loops;
}
namespace avx512 {
extern const TypedLoops<LinearLoops> linear_loops;
}

}  // namespace stoa::trainer::cpu

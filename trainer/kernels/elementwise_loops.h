#pragma once
/// Inner loops of casts, sums and dropout; the meaning of each name stands in elementwise.h.
#include <cstdint>

#include "stoa/trainer/kernels/philox.h"
#include "stoa/trainer/kernels/typed_loops.h"

namespace stoa::trainer::cpu {

struct ElementwiseLoops {
  void (*to_bf16)(const float* x, bf16* y, std::int64_t count);
  void (*to_float)(const bf16* x, float* y, std::int64_t count);
  void (*add)(const float* x, float* y, std::int64_t count);                     ///< y += x
  void (*add_to)(const float* x, const float* z, float* y, std::int64_t count);  ///< y = x + z
  void (*fill)(float value, float* y, std::int64_t count);
};

/// What dropout does to one run of elements; x[0] has the global index `first`.
struct DropoutRun {
  PhiloxKey key;
  std::uint64_t step;
  std::uint64_t first;
  float rate;
  float scale;  ///< 1 / (1 - rate)
};

template <typename T>
struct TypedElementwiseLoops {
  void (*add_branch)(const float* x, const T* branch, std::int64_t count, float* sum);
  /// sum_c is written: the sum of `rows` rows of `columns`.
  void (*sum_rows)(const T* x, std::int64_t rows, std::int64_t columns, float* sum_c);
  void (*dropout)(const DropoutRun& run, T* x, std::int64_t count);
};

namespace plain {
extern const ElementwiseLoops elementwise_loops;
}
namespace avx2 {
extern const ElementwiseLoops elementwise_loops;
}
namespace avx512 {
extern const ElementwiseLoops elementwise_loops;
}
namespace plain {
extern const TypedLoops<TypedElementwiseLoops> typed_elementwise_loops;
}
namespace avx2 {
extern const TypedLoops<TypedElementwiseLoops> typed_elementwise_loops;
}
namespace avx512 {
extern const TypedLoops<TypedElementwiseLoops> typed_elementwise_loops;
}

}  // namespace stoa::trainer::cpu

#pragma once
/// Inner loops of the rotary embedding over rows begin .. end; the meaning of each name stands in rope.h.
#include <cstdint>

#include "stoa/trainer/kernels/heads.h"
#include "stoa/trainer/kernels/typed_loops.h"

namespace stoa::trainer::cpu {

struct RopeRows {
  HeadColumns columns;
  const float* table_te;
  std::int64_t positions_per_sequence;
  std::int64_t first_position;
  const std::int32_t* position_ids;  ///< null: first_position + n % positions_per_sequence
  float sine_sign;                   ///< 1 forward, -1 backward
};

template <typename T>
struct RopeLoops {
  void (*turn)(const RopeRows& rows, T* x_nc, std::int64_t begin, std::int64_t end);
};

namespace plain {
extern const TypedLoops<RopeLoops> rope_loops;
}
namespace avx2 {
extern const TypedLoops<RopeLoops> rope_loops;
}
namespace avx512 {
extern const TypedLoops<RopeLoops> rope_loops;
}

}  // namespace stoa::trainer::cpu

#pragma once
/// Inner loop of fill_normal, one copy per instruction set.
#include <cstdint>

namespace stoa::trainer::cpu {

struct RandomNormalLoops {
  /// Elements 4 * first_block .. 4 * (first_block + 16) - 1 of the stream, times std_deviation.
  void (*sixteen_blocks)(std::uint32_t key_low, std::uint32_t key_high, std::uint64_t first_block, float std_deviation,
                         float* values);
};

namespace plain {
extern const RandomNormalLoops random_normal_loops;
}
namespace avx2 {
extern const RandomNormalLoops random_normal_loops;
}
namespace avx512 {
extern const RandomNormalLoops random_normal_loops;
}

}  // namespace stoa::trainer::cpu

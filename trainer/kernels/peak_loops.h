#pragma once
/// Loops that do nothing but arithmetic in registers, for peak.h. Each returns the FLOPs done.
#include <cstdint>

namespace stoa::trainer::cpu {

struct PeakLoops {
  double (*fp32)(std::int64_t rounds, float* sink);
  double (*bf16)(std::int64_t rounds, float* sink);  ///< null where the instruction set has no bf16 product
};

namespace plain {
extern const PeakLoops peak_loops;
}
namespace avx2 {
extern const PeakLoops peak_loops;
}
namespace avx512 {
extern const PeakLoops peak_loops;
}

}  // namespace stoa::trainer::cpu

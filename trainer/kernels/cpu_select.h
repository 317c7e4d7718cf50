#pragma once
/// Chooses among the copies of a kernel's inner loops, one per instruction set for which they are compiled.
#include "stoa/trainer/kernels/cpu_isa.h"

namespace stoa::trainer::cpu {

template <typename Loops>
const Loops& select_loops(Isa isa, const Loops& plain, const Loops& avx2, const Loops& avx512) {
  switch (isa) {
    case Isa::kPlain:
      return plain;
    case Isa::kAvx2:
      return avx2;
    case Isa::kAvx512:
    case Isa::kAvx512Bf16:
      return avx512;
  }
  return plain;
}

}  // namespace stoa::trainer::cpu

#pragma once
/// The instruction sets for which CPU kernels are compiled. Detected at run time; may be forced down (never up) by the
/// environment variable STOA_CPU_ISA = plain | avx2 | avx512 | avx512_bf16, which tests use.
#include <string_view>

namespace stoa::trainer::cpu {

enum class Isa {
  kPlain,       ///< x86-64 baseline, or any other processor
  kAvx2,        ///< AVX2 and FMA
  kAvx512,      ///< AVX-512 F, BW, DQ, VL
  kAvx512Bf16,  ///< the same with bf16 dot products
};

/// What the processor has, lowered by STOA_CPU_ISA. Throws ConfigError where the variable names no set or one it lacks.
Isa detected_isa();
std::string_view isa_name(Isa isa);

}  // namespace stoa::trainer::cpu

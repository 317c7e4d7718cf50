#pragma once
/// Reading and writing activations inside the loops that are compiled once per instruction set. The functions of bf16.h
/// are not called there: the linker would keep one copy of them for all instruction sets. These have a copy in each
/// namespace.
#include <cstdint>

#include "stoa/trainer/kernels/bf16.h"

namespace stoa::trainer::cpu::STOA_ISA {

static inline float load(const float* values, std::int64_t i) { return values[i]; }
static inline float load(const bf16* values, std::int64_t i) {
  return __builtin_bit_cast(float, static_cast<std::uint32_t>(values[i].bits) << 16);
}

static inline void store(float* values, std::int64_t i, float value) { values[i] = value; }
/// Rounds as to_bf16 does. Both results are computed and one is chosen, so that the loop around it is a vector loop.
static inline void store(bf16* values, std::int64_t i, float value) {
  const auto bits = __builtin_bit_cast(std::uint32_t, value);
  const std::uint32_t rounded = (bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16;
  const std::uint32_t quiet = (bits >> 16) | 0x40U;
  values[i].bits = static_cast<std::uint16_t>((bits & 0x7fffffffU) > 0x7f800000U ? quiet : rounded);
}

/// sum = x + branch: the step of the residual stream, in the norms and where a stage ends without one.
template <typename T>
static inline void add_branch(const float* x, const T* branch, std::int64_t count, float* sum) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) sum[i] = x[i] + load(branch, i);
}

}  // namespace stoa::trainer::cpu::STOA_ISA

#include "stoa/trainer/kernels/peak_loops.h"

#include "stoa/trainer/kernels/cpu_tile.h"

namespace stoa::trainer::cpu::STOA_ISA {
namespace {

/// Enough independent sums to hide the latency of a fused multiply-add on two units.
constexpr int kSums = 12;

double fp32(std::int64_t rounds, float* sink) {
  Vector sums[kSums] = {};
  for (int i = 0; i < kSums; ++i) sums[i] += static_cast<float>(i);  // equal sums would be computed once
  Vector factor = {};
  factor += 0.999F;
  Vector step = {};
  step += 0.001F;
  for (std::int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 12
    for (int i = 0; i < kSums; ++i) sums[i] = sums[i] * factor + step;
  }
  for (int i = 0; i < kSums; ++i) *sink += sums[i][0];
  return 2.0 * kLanes * kSums * static_cast<double>(rounds);
}

#if STOA_ISA_AVX512
typedef short Bf16Pairs __attribute__((vector_size(64)));
typedef float Sums __attribute__((vector_size(64)));

/// In assembly: the product must not be hoisted out of the loop, and this file is not compiled for bf16.
double bf16(std::int64_t rounds, float* sink) {
  Sums s0 = {}, s1 = {}, s2 = {}, s3 = {}, s4 = {}, s5 = {}, s6 = {}, s7 = {}, s8 = {}, s9 = {}, s10 = {}, s11 = {};
  const Bf16Pairs one = {};
  for (std::int64_t round = 0; round < rounds; ++round) {
    asm volatile(
        "vdpbf16ps %12, %12, %0\n\tvdpbf16ps %12, %12, %1\n\tvdpbf16ps %12, %12, %2\n\tvdpbf16ps %12, %12, %3\n\t"
        "vdpbf16ps %12, %12, %4\n\tvdpbf16ps %12, %12, %5\n\tvdpbf16ps %12, %12, %6\n\tvdpbf16ps %12, %12, %7\n\t"
        "vdpbf16ps %12, %12, %8\n\tvdpbf16ps %12, %12, %9\n\tvdpbf16ps %12, %12, %10\n\tvdpbf16ps %12, %12, %11"
        : "+v"(s0), "+v"(s1), "+v"(s2), "+v"(s3), "+v"(s4), "+v"(s5), "+v"(s6), "+v"(s7), "+v"(s8), "+v"(s9), "+v"(s10),
          "+v"(s11)
        : "v"(one));
  }
  *sink += s0[0] + s11[0];
  return 2.0 * 2 * 16 * 12 * static_cast<double>(rounds);
}
constexpr auto kBf16 = &bf16;
#else
constexpr double (*kBf16)(std::int64_t, float*) = nullptr;
#endif

}  // namespace

const PeakLoops peak_loops = {&fp32, kBf16};

}  // namespace stoa::trainer::cpu::STOA_ISA

#pragma once
/// exp and tanh for loops that g++ is to vectorise. Each instruction set has its own copy (namespace STOA_ISA), so that
/// the linker cannot hand an older processor a newer one's code. Only *_loops.cc files include this.
#include <cstdint>

namespace stoa::trainer::cpu::STOA_ISA {

/// exp(x) with a relative error below 2e-7 for x in [-87, 88]; 0 below, exp(88) above. NaN stays NaN.
/// x = n ln 2 + r with |r| <= ln 2 / 2; exp(r) by its Taylor polynomial of degree 7 (error 1.6e-8), 2^n through the
/// exponent.
static inline __attribute__((always_inline)) float fast_exp(float x) {
  const float raised = x > -87.0F ? x : -87.0F;  // a NaN too: it must not reach the conversion to an integer
  const float safe = raised < 88.0F ? raised : 88.0F;
  const float shifted = safe * 1.44269504F + 12582912.0F;  // 1.5 * 2^23: the sum's low bits are the rounded quotient
  const float n = shifted - 12582912.0F;
  const float r = (safe - n * 0.693359375F) + n * 2.12194440e-4F;  // ln 2 in two parts, the first one short
  float p = 1.9841270e-4F;
  p = p * r + 1.3888889e-3F;
  p = p * r + 8.3333333e-3F;
  p = p * r + 4.1666667e-2F;
  p = p * r + 1.6666667e-1F;
  p = p * r + 0.5F;
  p = p * r + 1.0F;
  p = p * r + 1.0F;
  const std::int32_t exponent = (static_cast<std::int32_t>(n) + 127) << 23;
  float power;
  __builtin_memcpy(&power, &exponent, sizeof power);
  const float result = p * power;
  return x < -87.0F ? 0.0F : (x != x ? x : result);
}

/// tanh(x) = 1 - 2 / (exp(2x) + 1); absolute error below 3e-7.
static inline __attribute__((always_inline)) float fast_tanh(float x) {
  const float limited = x > 20.0F ? 20.0F : (x < -20.0F ? -20.0F : x);
  return 1.0F - 2.0F / (fast_exp(2.0F * limited) + 1.0F);
}

}  // namespace stoa::trainer::cpu::STOA_ISA

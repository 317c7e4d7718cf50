#include "stoa/trainer/kernels/random_normal_loops.h"

#include <cstdint>

// Compiled without contraction into fused multiply-adds: initial weights are the same bits on every processor.
namespace stoa::trainer::cpu::STOA_ISA {
namespace {

constexpr int kBlocks = 16;

struct Counters {
  std::uint32_t word[4][kBlocks];
};

/// philox4x32 of philox.h for sixteen counters at once.
inline void philox(std::uint32_t key_low, std::uint32_t key_high, Counters& counters) {
  for (int round = 0; round < 10; ++round) {
#pragma omp simd
    for (int i = 0; i < kBlocks; ++i) {
      const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * counters.word[0][i];
      const std::uint64_t product1 = std::uint64_t{0xCD9E8D57U} * counters.word[2][i];
      const std::uint32_t word0 = static_cast<std::uint32_t>(product1 >> 32) ^ counters.word[1][i] ^ key_low;
      const std::uint32_t word2 = static_cast<std::uint32_t>(product0 >> 32) ^ counters.word[3][i] ^ key_high;
      counters.word[0][i] = word0;
      counters.word[1][i] = static_cast<std::uint32_t>(product1);
      counters.word[2][i] = word2;
      counters.word[3][i] = static_cast<std::uint32_t>(product0);
    }
    key_low += 0x9E3779B9U;
    key_high += 0xBB67AE85U;
  }
}

/// 32 bits plus a half as a float, the conversion of a signed integer being the one that all processors have as
/// vectors.
inline float with_half(std::uint32_t bits) {
  return static_cast<float>(static_cast<std::int32_t>(bits >> 1)) * 2.0F +
         (static_cast<float>(static_cast<std::int32_t>(bits & 1U)) + 0.5F);
}

/// ln(u) of u = (a + 1/2) / 2^32. u = m 2^e with m in [sqrt(1/2), sqrt(2)), ln m = 2 atanh(s), s = (m - 1) / (m + 1),
/// |s| < 0.172; its series to s^9 is off by 2 s^11 / 11 < 1e-9. Close to 1, m - 1 is taken from 1 - u, which is exact
/// there.
inline float natural_log(std::uint32_t a) {
  const float u = with_half(a) * 0x1p-32F;
  const float complement = with_half(~a) * 0x1p-32F;
  const auto bits = __builtin_bit_cast(std::uint32_t, u);
  const std::uint32_t shifted = bits - 0x3f3504f3U;  // the bits of sqrt(1/2)
  const bool upper = u > 0.70710678F;
  const std::int32_t exponent = upper ? 0 : static_cast<std::int32_t>(shifted) >> 23;
  const float m = __builtin_bit_cast(float, (shifted & 0x007fffffU) + 0x3f3504f3U);
  const float numerator = upper ? -complement : m - 1.0F;
  const float denominator = upper ? 2.0F - complement : m + 1.0F;
  const float s = numerator / denominator;
  const float q = s * s;
  const float series = (((0.22222222F * q + 0.28571429F) * q + 0.4F) * q + 0.66666667F) * q + 2.0F;
  return static_cast<float>(exponent) * 0.69314718F + s * series;
}

/// Box and Muller's pair of the two words.
inline void normal_pair(std::uint32_t a, std::uint32_t b, float& cosine_part, float& sine_part) {
  const float radius = __builtin_sqrtf(-2.0F * natural_log(a));
  // The angle in quarter turns, split into the nearest whole quarter and a rest of half a quarter at most.
  const std::int32_t quarter = static_cast<std::int32_t>((b + 0x20000000U) >> 30) & 3;
  const auto rest = static_cast<std::int32_t>(b - (static_cast<std::uint32_t>(quarter) << 30));
  const float r = static_cast<float>(rest) * (1.57079633F * 0x1p-30F);
  const float q = r * r;
  const float sine = r * (1.0F + q * (-0.16666667F + q * (8.3333333e-3F + q * -1.9841270e-4F)));
  const float cosine = 1.0F + q * (-0.5F + q * (4.1666667e-2F + q * (-1.3888889e-3F + q * 2.4801587e-5F)));
  const float x = (quarter & 1) != 0 ? -sine : cosine;
  const float y = (quarter & 1) != 0 ? cosine : sine;
  const bool half_turn = quarter >= 2;
  cosine_part = radius * (half_turn ? -x : x);
  sine_part = radius * (half_turn ? -y : y);
}

void sixteen_blocks(std::uint32_t key_low, std::uint32_t key_high, std::uint64_t first_block, float std_deviation,
                    float* values) {
  Counters counters;
  for (int i = 0; i < kBlocks; ++i) {
    const std::uint64_t block = first_block + static_cast<std::uint64_t>(i);
    counters.word[0][i] = static_cast<std::uint32_t>(block);
    counters.word[1][i] = static_cast<std::uint32_t>(block >> 32);
    counters.word[2][i] = 0;
    counters.word[3][i] = 0;
  }
  philox(key_low, key_high, counters);
  float lane[4][kBlocks];
#pragma omp simd
  for (int i = 0; i < kBlocks; ++i) {
    normal_pair(counters.word[0][i], counters.word[1][i], lane[0][i], lane[1][i]);
    normal_pair(counters.word[2][i], counters.word[3][i], lane[2][i], lane[3][i]);
  }
  for (int i = 0; i < kBlocks; ++i)
    for (int l = 0; l < 4; ++l) values[4 * i + l] = std_deviation * lane[l][i];
}

}  // namespace

extern const RandomNormalLoops random_normal_loops = {sixteen_blocks};

}  // namespace stoa::trainer::cpu::STOA_ISA

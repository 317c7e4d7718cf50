#pragma once
/// The inner loop of MinHash: integers only, so every instruction set gives the same minima.
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/cpu_isa.h"

namespace stoa::trainer {

/// factors, terms and minima are padded to a multiple of this.
inline constexpr std::size_t kMinimaBlock = 32;

/// minima[i] = min(minima[i], min over shingles x of factors[i] * x + terms[i] mod 2^32), a multiply-shift family: with
/// odd factors each is a permutation of the 32-bit numbers, and shingles are well-mixed hashes themselves.
/// REQUIRES: three spans of one length, a multiple of kMinimaBlock; a processor with `isa`.
void lower_minima(cpu::Isa isa, std::span<const std::uint32_t> shingles, std::span<const std::uint32_t> factors,
                  std::span<const std::uint32_t> terms, std::span<std::uint32_t> minima);

}  // namespace stoa::trainer

#pragma once
/// Philox4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC
/// 2011): any number of the stream by its counter, no state. Keys are (seed, purpose); counters are global indices, so
/// a value does not depend on which rank or thread asks.
#include <array>
#include <cmath>
#include <cstdint>

namespace stoa::trainer {

/// What a stream is for; part of the key, so that no two purposes share numbers. The values are on disk in effect
/// (a resumed run must draw the same numbers): never renumber.
enum class RandomPurpose : std::uint32_t {
  kInitialWeights = 1,
  kEmbeddingDropout = 2,
  kAttentionDropout = 3,
  kResidualDropout = 4,
  kSampleOrder = 5,
  kHeldOut = 6,
  kGeneration = 7,
  kMixtureOrder = 8,
};

struct PhiloxKey {
  std::uint32_t low = 0;
  std::uint32_t high = 0;
};

using PhiloxBlock = std::array<std::uint32_t, 4>;

constexpr PhiloxBlock philox4x32(PhiloxKey key, PhiloxBlock counter) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = std::uint64_t{0xD2511F53U} * counter[0];
    const std::uint64_t product1 = std::uint64_t{0xCD9E8D57U} * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key.low, static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key.high,
               static_cast<std::uint32_t>(product0)};
    key.low += 0x9E3779B9U;
    key.high += 0xBB67AE85U;
  }
  return counter;
}

/// The key of one stream: the seed's two halves mixed with the purpose and a number within it (a layer, a parameter).
constexpr PhiloxKey philox_key(std::uint64_t seed, RandomPurpose purpose, std::uint64_t number = 0) {
  const PhiloxBlock mixed = philox4x32({static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
                                       {static_cast<std::uint32_t>(purpose), 0, static_cast<std::uint32_t>(number),
                                        static_cast<std::uint32_t>(number >> 32)});
  return {mixed[0], mixed[1]};
}

/// Block `index` of a stream; `second` is a second index (a step) where one is needed.
constexpr PhiloxBlock philox_block(PhiloxKey key, std::uint64_t index, std::uint64_t second = 0) {
  return philox4x32(key, {static_cast<std::uint32_t>(index), static_cast<std::uint32_t>(index >> 32),
                          static_cast<std::uint32_t>(second), static_cast<std::uint32_t>(second >> 32)});
}

/// 32 random bits to [0, 1) with 24 bits of resolution.
constexpr float uniform_float(std::uint32_t bits) { return static_cast<float>(bits >> 8) * 0x1p-24F; }
/// 64 random bits to [0, 1) with 53 bits of resolution.
constexpr double uniform_double(std::uint32_t high, std::uint32_t low) {
  return static_cast<double>(((std::uint64_t{high} << 32) | low) >> 11) * 0x1p-53;
}

/// Two normal numbers from two 32-bit ones (Box and Muller 1958), in double and rounded once.
inline std::array<float, 2> normal_pair(std::uint32_t a, std::uint32_t b) {
  const double radius = std::sqrt(-2.0 * std::log((static_cast<double>(a) + 0.5) * 0x1p-32));
  const double angle = 2.0 * 3.14159265358979323846 * static_cast<double>(b) * 0x1p-32;
  return {static_cast<float>(radius * std::cos(angle)), static_cast<float>(radius * std::sin(angle))};
}

}  // namespace stoa::trainer

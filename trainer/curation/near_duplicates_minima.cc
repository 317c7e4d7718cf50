#include "stoa/trainer/curation/near_duplicates_minima.h"

namespace stoa::trainer {
namespace {

struct Minima {
  const std::uint32_t* shingles;
  std::size_t shingle_count;
  const std::uint32_t* factors;
  const std::uint32_t* terms;
  std::uint32_t* minima;
  std::size_t count;
};

// Forced into the three functions below, each of which compiles it for its own instruction set: nothing of this body
// exists outside them for the linker to confuse, and it calls nothing.
template <int kLanes>
[[gnu::always_inline]] inline void lower_blocks(const Minima& m) {
  typedef std::uint32_t Vector __attribute__((vector_size(kLanes * 4), aligned(4), may_alias));
  constexpr int kVectors = static_cast<int>(kMinimaBlock) / kLanes;
  for (std::size_t block = 0; block < m.count; block += kMinimaBlock) {
    Vector factor[kVectors], term[kVectors], minimum[kVectors];
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      factor[v] = *reinterpret_cast<const Vector*>(m.factors + block + v * kLanes);
      term[v] = *reinterpret_cast<const Vector*>(m.terms + block + v * kLanes);
      minimum[v] = *reinterpret_cast<const Vector*>(m.minima + block + v * kLanes);
    }
    for (std::size_t s = 0; s < m.shingle_count; ++s) {
      const std::uint32_t shingle = m.shingles[s];
#pragma GCC unroll 8
      for (int v = 0; v < kVectors; ++v) {
        const Vector value = factor[v] * shingle + term[v];
        minimum[v] = value < minimum[v] ? value : minimum[v];
      }
    }
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) *reinterpret_cast<Vector*>(m.minima + block + v * kLanes) = minimum[v];
  }
}

void lower_plain(const Minima& m) { lower_blocks<4>(m); }
#if defined(__x86_64__)
[[gnu::target("avx2")]] void lower_avx2(const Minima& m) { lower_blocks<8>(m); }
[[gnu::target("avx512f,avx512bw,avx512dq,avx512vl,prefer-vector-width=512")]] void lower_avx512(const Minima& m) {
  lower_blocks<16>(m);
}
#endif

}  // namespace

void lower_minima(cpu::Isa isa, std::span<const std::uint32_t> shingles, std::span<const std::uint32_t> factors,
                  std::span<const std::uint32_t> terms, std::span<std::uint32_t> minima) {
  const Minima m = {shingles.data(), shingles.size(), factors.data(), terms.data(), minima.data(), minima.size()};
#if defined(__x86_64__)
  if (isa >= cpu::Isa::kAvx512) return lower_avx512(m);
  if (isa == cpu::Isa::kAvx2) return lower_avx2(m);
#else
  static_cast<void>(isa);
#endif
  lower_plain(m);
}

}  // namespace stoa::trainer

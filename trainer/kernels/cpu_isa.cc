#include "stoa/trainer/kernels/cpu_isa.h"

#include <array>
#include <cstdlib>
#include <string>

#include "stoa/base/error.h"

namespace stoa::trainer::cpu {
namespace {

constexpr std::array kAll = {Isa::kPlain, Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16};

Isa best_of_processor() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (avx512 && __builtin_cpu_supports("avx512bf16")) return Isa::kAvx512Bf16;
  if (avx512) return Isa::kAvx512;
  if (avx2) return Isa::kAvx2;
#endif
  return Isa::kPlain;
}

}  // namespace

Isa detected_isa() {
  const Isa best = best_of_processor();
  const char* forced = std::getenv("STOA_CPU_ISA");
  if (forced == nullptr || *forced == '\0') return best;
  for (const Isa isa : kAll) {
    if (isa_name(isa) != forced) continue;
    if (isa > best) throw ConfigError("STOA_CPU_ISA={}: this processor has no more than {}", forced, isa_name(best));
    return isa;
  }
  throw ConfigError("STOA_CPU_ISA={}: expected plain, avx2, avx512 or avx512_bf16", forced);
}

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::kPlain:
      return "plain";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Bf16:
      return "avx512_bf16";
  }
  return "plain";
}

}  // namespace stoa::trainer::cpu

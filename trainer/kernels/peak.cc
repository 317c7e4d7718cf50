#include "stoa/trainer/kernels/peak.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "stoa/trainer/kernels/cpu_select.h"
#include "stoa/trainer/kernels/peak_loops.h"

namespace stoa::trainer {

double measure_peak_gflops(cpu::Queue& queue, PeakKind kind) {
  using Clock = std::chrono::steady_clock;
  const cpu::PeakLoops& loops =
      cpu::select_loops(queue.isa(), cpu::plain::peak_loops, cpu::avx2::peak_loops, cpu::avx512::peak_loops);
  const bool bf16 = kind == PeakKind::kBf16 && queue.isa() == cpu::Isa::kAvx512Bf16;
  const auto loop = bf16 ? loops.bf16 : loops.fp32;

  struct alignas(64) Thread {
    float sink = 0;
    double flops = 0;
  };
  std::vector<Thread> threads(static_cast<std::size_t>(queue.threads()));
  constexpr std::int64_t kRounds = 400'000;  // 2 ms at one FMA a cycle and 2.5 GHz
  double best = 0;
  const Clock::time_point begin = Clock::now();
  while (Clock::now() - begin < std::chrono::milliseconds(30)) {
    const Clock::time_point start = Clock::now();
    queue.parallel_for(queue.threads(), 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t i = first; i < last; ++i) {
        Thread& thread = threads[static_cast<std::size_t>(i)];
        thread.flops = loop(kRounds, &thread.sink);
      }
    });
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    double flops = 0;
    for (const Thread& thread : threads) flops += thread.flops;
    best = std::max(best, flops / seconds * 1e-9);
  }
  return best;
}

}  // namespace stoa::trainer

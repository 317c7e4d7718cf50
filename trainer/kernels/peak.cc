#include "stoa/trainer/kernels/peak.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <vector>

#include "stoa/trainer/kernels/cpu_select.h"
#include "stoa/trainer/kernels/peak_loops.h"

namespace stoa::trainer {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

/// The best round of the calling thread.
double thread_gflops(double (*loop)(std::int64_t, float*)) {
  constexpr std::int64_t kRounds = 100'000;  // about half a millisecond: shorter than a time slice
  constexpr double kDuration_s = 0.03;
  float sink = 0;
  double best = 0;
  const Clock::time_point begin = Clock::now();
  while (seconds_since(begin) < kDuration_s) {
    const Clock::time_point start = Clock::now();
    const double flops = loop(kRounds, &sink);
    best = std::max(best, flops / seconds_since(start) * 1e-9);
  }
  return best;
}

}  // namespace

double measure_peak_gflops(cpu::Queue& queue, PeakKind kind) {
  const cpu::PeakLoops& loops =
      cpu::select_loops(queue.isa(), cpu::plain::peak_loops, cpu::avx2::peak_loops, cpu::avx512::peak_loops);
  const bool bf16 = kind == PeakKind::kBf16 && queue.isa() == cpu::Isa::kAvx512Bf16;
  const auto loop = bf16 ? loops.bf16 : loops.fp32;
  // Each thread is timed by itself, all running at once: waiting for one that lost its processor would measure the
  // wait.
  std::vector<double> gflops(static_cast<std::size_t>(queue.threads()));
  queue.parallel_for(queue.threads(), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) gflops[static_cast<std::size_t>(i)] = thread_gflops(loop);
  });
  return std::accumulate(gflops.begin(), gflops.end(), 0.0);
}

}  // namespace stoa::trainer

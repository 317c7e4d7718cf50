#pragma once
/// What the processor's arithmetic units can do at most, measured: the denominator of model-FLOPs utilisation.
#include "stoa/trainer/kernels/cpu_queue.h"

namespace stoa::trainer {

enum class PeakKind {
  kFp32,  ///< fused multiply-adds
  kBf16,  ///< bf16 dot products; fp32's peak where the processor (or the queue's Isa) has none
};

/// GFLOP/s of a loop that lives in registers, on all threads of the queue at once, best of some rounds; takes about 30
/// ms. Another load on the machine lowers it.
double measure_peak_gflops(cpu::Queue& queue, PeakKind kind);

}  // namespace stoa::trainer

#pragma once
/// Normal numbers by their index: the numbers of normal_pair (philox.h) in single precision, many at a time.
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/kernels/philox.h"

namespace stoa::trainer {

/// values[i] = std_deviation * z_i; element i takes lane i % 4 of Philox block i / 4: lanes (0, 1) and (2, 3) are two
/// pairs of Box and Muller. Within 2e-6 of normal_pair, and the same bits on every instruction set (no contraction, no
/// reordering).
void fill_normal(cpu::Queue& queue, PhiloxKey key, float std_deviation, std::span<float> values);

}  // namespace stoa::trainer

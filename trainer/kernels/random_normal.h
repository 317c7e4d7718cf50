#pragma once
/// Normal numbers by their index: the numbers of normal_pair (philox.h) in single precision, many at a time.
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/kernels/philox.h"

namespace stoa::trainer {

/// Which elements of the stream: rows of `columns` consecutive ones, the first of each row `stride` behind the one
/// before. REQUIRES: first_element >= 0, columns > 0.
struct NormalRows {
  std::int64_t first_element = 0;
  std::int64_t columns = 0;
  std::int64_t stride = 0;
};

/// values[r columns + c] = std_deviation * z_e, e = first_element + r stride + c; element e takes lane e % 4 of Philox
/// block e / 4: lanes (0, 1) and (2, 3) are two pairs of Box and Muller. Within 2e-6 of normal_pair, and the same bits
/// on every instruction set and however the stream is cut (no contraction, no reordering).
void fill_normal(cpu::Queue& queue, PhiloxKey key, float std_deviation, const NormalRows& rows,
                 std::span<float> values);
/// Elements 0, 1, 2 ...
void fill_normal(cpu::Queue& queue, PhiloxKey key, float std_deviation, std::span<float> values);

}  // namespace stoa::trainer

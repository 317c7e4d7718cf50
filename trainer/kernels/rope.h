#pragma once
/// Rotary position embedding (arXiv 2104.09864) in the half-split form of the Llama family: element e is paired with
/// e + E/2 and turned by position * theta^(-2e/E).
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/kernels/heads.h"
#include "stoa/trainer/kernels/row_positions.h"

namespace stoa::trainer {

/// table_te: T rows of E/2 cosines followed by E/2 sines. Computed in double, rounded once.
void rope_table(double theta, std::int64_t positions, std::int64_t head_width, std::span<float> table_te);

enum class RopeDirection { kForward, kBackward };

/// Turns the columns of each row by its position, in place. kBackward turns the other way, which is the gradient.
/// REQUIRES: each position is that of a row of the table.
template <typename T>
void rope(cpu::Queue& queue, std::span<T> x_nc, const HeadColumns& columns, std::span<const float> table_te,
          const RowPositions& positions, RopeDirection direction);

}  // namespace stoa::trainer

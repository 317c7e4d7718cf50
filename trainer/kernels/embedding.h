#pragma once
/// Token and position embedding. N = B * T tokens, D width, V rows of the table: the whole vocabulary, or the slice
/// first_token .. first_token + V - 1 of it that a tensor rank holds (V may be 0). The tables of the ranks give parts
/// of a sum: a token outside the slice has a row of zeros here.
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/kernels/row_positions.h"

namespace stoa::trainer {

/// x_nd[n,:] = table_vd[tokens[n] - first_token,:] (0 outside the slice) + learned_td[positions.of(n),:] (learned may
/// be empty). REQUIRES: tokens are of the vocabulary (the model checks this) and 0 <= positions.of(n) < T.
void embedding_forward(cpu::Queue& queue, std::span<const std::int32_t> tokens, std::span<const float> table_vd,
                       std::span<const float> learned_td, std::int64_t width, const RowPositions& positions,
                       std::span<float> x_nd, std::int64_t first_token = 0);

/// dtable_vd[tokens[n] - first_token,:] += dx_nd[n,:] (skipped outside the slice) and dlearned_td[positions.of(n),:] +=
/// dx_nd[n,:] in the order of n: threads cut the width, so the bits do not depend on their number. Either may be empty.
/// REQUIRES: as forward.
void embedding_backward(cpu::Queue& queue, std::span<const std::int32_t> tokens, std::span<const float> dx_nd,
                        std::int64_t width, const RowPositions& positions, std::span<float> dtable_vd,
                        std::span<float> dlearned_td, std::int64_t first_token = 0);

}  // namespace stoa::trainer

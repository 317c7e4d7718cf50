#pragma once
/// Token and position embedding. N = B * T tokens, D width, V vocabulary rows.
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/kernels/row_positions.h"

namespace stoa::trainer {

/// x_nd[n,:] = table_vd[tokens[n],:] + learned_td[positions.of(n),:] (learned may be empty). REQUIRES: 0 <= tokens[n] <
/// V (the model checks this) and 0 <= positions.of(n) < T.
void embedding_forward(cpu::Queue& queue, std::span<const std::int32_t> tokens, std::span<const float> table_vd,
                       std::span<const float> learned_td, std::int64_t width, const RowPositions& positions,
                       std::span<float> x_nd);

/// dtable_vd[tokens[n],:] += dx_nd[n,:] and dlearned_td[positions.of(n),:] += dx_nd[n,:] in the order of n: threads cut
/// the width, so the bits do not depend on their number. dlearned may be empty. REQUIRES: as forward.
void embedding_backward(cpu::Queue& queue, std::span<const std::int32_t> tokens, std::span<const float> dx_nd,
                        std::int64_t width, const RowPositions& positions, std::span<float> dtable_vd,
                        std::span<float> dlearned_td);

}  // namespace stoa::trainer

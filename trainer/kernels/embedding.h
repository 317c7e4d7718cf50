#pragma once
/// Token and position embedding. N = B * T tokens, D width, V vocabulary rows.
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/cpu_queue.h"

namespace stoa::trainer {

/// x_nd[n,:] = table_vd[tokens[n],:] + positions_td[first_position + n % positions_per_sequence,:] (positions may be
/// empty). REQUIRES: 0 <= tokens[n] < V (the data set checks this when it is opened).
void embedding_forward(cpu::Queue& queue, std::span<const std::int32_t> tokens, std::span<const float> table_vd,
                       std::span<const float> positions_td, std::int64_t width, std::int64_t positions_per_sequence,
                       std::int64_t first_position, std::span<float> x_nd);

/// dtable_vd[tokens[n],:] += dx_nd[n,:] and dpositions_td[n % positions_per_sequence,:] += dx_nd[n,:] in the order of
/// n: threads cut the width, so the bits do not depend on their number. dpositions may be empty.
void embedding_backward(cpu::Queue& queue, std::span<const std::int32_t> tokens, std::span<const float> dx_nd,
                        std::int64_t width, std::int64_t positions_per_sequence, std::span<float> dtable_vd,
                        std::span<float> dpositions_td);

}  // namespace stoa::trainer

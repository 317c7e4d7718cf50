#pragma once
/// Casts, sums and dropout: what moves data and adds little arithmetic.
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/kernels/philox.h"

namespace stoa::trainer {

void cast(cpu::Queue& queue, std::span<const float> x, std::span<bf16> y);
void cast(cpu::Queue& queue, std::span<const bf16> x, std::span<float> y);

/// y += x
void add(cpu::Queue& queue, std::span<const float> x, std::span<float> y);
/// sum_nd = x_nd + branch_nd, with the bits of the sum that the norms' forward passes write. sum_nd may be x_nd.
template <typename T>
void add_branch(cpu::Queue& queue, std::span<const float> x_nd, std::span<const T> branch_nd, std::span<float> sum_nd);
/// y = value, streamed to memory by all threads (also the first touch).
void fill(cpu::Queue& queue, float value, std::span<float> y);

/// db_c[c] += sum over rows of dy_nc[n,c], rows cut into fixed chunks. workspace: column_sum_workspace_floats(N, C).
template <typename T>
void column_sum(cpu::Queue& queue, std::span<const T> dy_nc, std::int64_t columns, std::span<float> db_c,
                std::span<float> workspace);
std::size_t column_sum_workspace_floats(std::size_t rows, std::size_t columns);

/// Dropout in place: element i of the local rows has global index first_element + i; it is kept, divided by 1 - rate,
/// where its Philox number is at least rate. The same call on the gradient is the backward pass.
struct DropoutSite {
  float rate = 0;
  PhiloxKey key;  ///< of the purpose and the layer
  std::uint64_t step = 0;
  std::uint64_t first_element = 0;
};
template <typename T>
void dropout(cpu::Queue& queue, const DropoutSite& site, std::span<T> x);

}  // namespace stoa::trainer

#pragma once
/// The three matrix products of a linear layer y = x w^T + b. N rows, D inputs, F outputs; all row-major and dense.
/// TX is the type of activations and weights (float or bf16), TY of the result. Sums are fp32 everywhere. Where the
/// processor has no bf16 product, bf16 operands are converted and the product is fp32's. Bits do not depend on the
/// number of threads. Primitives are built at the first call of a shape and cached in the queue.
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"

namespace stoa::trainer {

/// y_nf = x_nd w_fd^T + b_f; b_f may be empty. (TX, TY): (float, float), (bf16, bf16), (bf16, float).
template <typename TX, typename TY>
void linear_forward(cpu::Queue& queue, std::span<const TX> x_nd, std::span<const TX> w_fd, std::span<const float> b_f,
                    std::int64_t rows, std::int64_t inputs, std::int64_t outputs, std::span<TY> y_nf);

/// dx_nd = dy_nf w_fd. (TX, TY): (float, float), (bf16, bf16), (bf16, float).
template <typename TX, typename TY>
void linear_backward_input(cpu::Queue& queue, std::span<const TX> dy_nf, std::span<const TX> w_fd, std::int64_t rows,
                           std::int64_t inputs, std::int64_t outputs, std::span<TY> dx_nd);

/// dw_fd += dy_nf^T x_nd, accumulated in fp32.
template <typename TX>
void linear_backward_weight(cpu::Queue& queue, std::span<const TX> dy_nf, std::span<const TX> x_nd, std::int64_t rows,
                            std::int64_t inputs, std::int64_t outputs, std::span<float> dw_fd);

}  // namespace stoa::trainer

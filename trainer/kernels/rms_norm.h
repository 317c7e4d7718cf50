#pragma once
/// RMSNorm (arXiv 1910.07467). N tokens, D width; T is the type of activations (float or bf16), the residual stream is
/// fp32.
#include <span>

#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"

namespace stoa::trainer {
namespace cuda {
class Queue;
}

/// x_nd += branch_nd (skipped where branch is empty), then
/// y_nd[n,:] = w_d * x_nd[n,:] * inv_rms_n[n],  inv_rms_n[n] = 1 / sqrt(mean(x_nd[n,:]^2) + epsilon).
/// The sum is written to sum_nd, which may be x_nd itself; where branch is empty sum_nd is not touched and may be
/// empty.
template <typename T>
void rms_norm_forward(cpu::Queue& queue, std::span<const float> x_nd, std::span<const T> branch_nd,
                      std::span<const float> w_d, float epsilon, std::span<float> sum_nd, std::span<T> y_nd,
                      std::span<float> inv_rms_n);
/// The spans are device memory; returns when the work is queued.
template <typename T>
void rms_norm_forward(cuda::Queue& queue, std::span<const float> x_nd, std::span<const T> branch_nd,
                      std::span<const float> w_d, float epsilon, std::span<float> sum_nd, std::span<T> y_nd,
                      std::span<float> inv_rms_n);

/// dx_nd += gradient of x through the norm; dw_d += sum over n of dy * x * inv_rms. x_nd is the norm's input (after the
/// sum). The sum over tokens is cut into fixed chunks: its bits do not depend on the number of threads. workspace:
/// norm_workspace_floats(N, D).
template <typename T>
void rms_norm_backward(cpu::Queue& queue, std::span<const T> dy_nd, std::span<const float> x_nd,
                       std::span<const float> w_d, std::span<const float> inv_rms_n, std::span<float> dx_nd,
                       std::span<float> dw_d, std::span<float> workspace);

/// Floats of workspace for the backward pass of either norm.
std::size_t norm_workspace_floats(std::size_t tokens, std::size_t width);

/// y_nd again from x_nd and inv_rms_n, the same bits as the forward pass gave: backward recomputes instead of keeping
/// it.
template <typename T>
void rms_norm_recompute(cpu::Queue& queue, std::span<const float> x_nd, std::span<const float> w_d,
                        std::span<const float> inv_rms_n, std::span<T> y_nd);

}  // namespace stoa::trainer

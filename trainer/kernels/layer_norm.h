#pragma once
/// LayerNorm (arXiv 1607.06450). N tokens, D width; T is the type of activations, the residual stream is fp32.
#include <span>

#include "stoa/trainer/kernels/rms_norm.h"

namespace stoa::trainer {

/// As rms_norm_forward, with y = w_d * (x - mean) * inv_std + b_d, inv_std = 1 / sqrt(variance + epsilon).
template <typename T>
void layer_norm_forward(cpu::Queue& queue, std::span<const float> x_nd, std::span<const T> branch_nd,
                        std::span<const float> w_d, std::span<const float> b_d, float epsilon, std::span<float> sum_nd,
                        std::span<T> y_nd, std::span<float> mean_n, std::span<float> inv_std_n);

/// dx_nd += gradient through the norm; dw_d += sum of dy * (x - mean) * inv_std; db_d += sum of dy.
/// workspace: norm_workspace_floats(N, D).
template <typename T>
void layer_norm_backward(cpu::Queue& queue, std::span<const T> dy_nd, std::span<const float> x_nd,
                         std::span<const float> w_d, std::span<const float> mean_n, std::span<const float> inv_std_n,
                         std::span<float> dx_nd, std::span<float> dw_d, std::span<float> db_d,
                         std::span<float> workspace);

/// y_nd again, the same bits as the forward pass gave.
template <typename T>
void layer_norm_recompute(cpu::Queue& queue, std::span<const float> x_nd, std::span<const float> w_d,
                          std::span<const float> b_d, std::span<const float> mean_n, std::span<const float> inv_std_n,
                          std::span<T> y_nd);

}  // namespace stoa::trainer

#pragma once
/// Query-key norm: RMSNorm of each head's query or key over its E elements, one weight per element (arXiv 2302.05442 in
/// the form that Qwen3 and OLMo use).
#include <span>

#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/kernels/heads.h"

namespace stoa::trainer {

/// y = w_e * x * inv_rms over the named columns; other columns of y are not touched. x and y may be the same memory.
template <typename T>
void head_norm_forward(cpu::Queue& queue, std::span<const T> x_nc, const HeadColumns& columns,
                       std::span<const float> w_e, float epsilon, std::span<T> y_nc, std::span<float> inv_rms_nh);

/// In place: dy in the named columns of d_nc becomes dx. x_nc is the forward input. dw_e += ; fixed chunks.
/// workspace: head_norm_workspace_floats(N, E).
template <typename T>
void head_norm_backward(cpu::Queue& queue, std::span<const T> x_nc, const HeadColumns& columns,
                        std::span<const float> w_e, std::span<const float> inv_rms_nh, std::span<T> d_nc,
                        std::span<float> dw_e, std::span<float> workspace);

std::size_t head_norm_workspace_floats(std::size_t tokens, std::size_t head_width);

}  // namespace stoa::trainer

#pragma once
/// The elementwise parts of the feed-forward block. N tokens, F feed-forward width.
#include <span>

#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"

namespace stoa::trainer {

/// SwiGLU (arXiv 2002.05202): y_nf = silu(gate) * up, gate_up_n2f rows hold F gates then F ups; silu(g) = g / (1 +
/// exp(-g)).
template <typename T>
void swiglu_forward(cpu::Queue& queue, std::span<const T> gate_up_n2f, std::int64_t width, std::span<T> y_nf);
/// dgate_up_n2f is written; it may be the same memory as gate_up_n2f.
template <typename T>
void swiglu_backward(cpu::Queue& queue, std::span<const T> dy_nf, std::span<const T> gate_up_n2f, std::int64_t width,
                     std::span<T> dgate_up_n2f);

/// GELU in the tanh form (arXiv 1606.08415): y = x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))).
template <typename T>
void gelu_forward(cpu::Queue& queue, std::span<const T> x_nf, std::span<T> y_nf);
/// dx may be the same memory as dy or x.
template <typename T>
void gelu_backward(cpu::Queue& queue, std::span<const T> dy_nf, std::span<const T> x_nf, std::span<T> dx_nf);

}  // namespace stoa::trainer

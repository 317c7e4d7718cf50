#pragma once
/// Cross entropy of one chunk of rows, forward and backward at once, so that logits exist for one chunk only.
#include <cstdint>
#include <span>

#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"

namespace stoa::trainer {

/// For each row r of logits_rv (V true columns of row_stride), with lse = log(sum_v exp(logit)):
///   loss_r  = lse - logit[target_r]                          (nats, without the z term)
///   z_r     = lse^2
///   dlogits = scale * (softmax - onehot(target) + 2 * z_loss * lse * softmax)
/// dlogits_rv has the same stride; columns V .. row_stride are written zero. A target of -1 gives loss 0, z 0, gradient
/// 0. dlogits_rv may be empty (evaluation); for T = float it may be the memory of logits_rv.
template <typename T>
void cross_entropy(cpu::Queue& queue, std::span<const float> logits_rv, std::int64_t vocabulary,
                   std::int64_t row_stride, std::span<const std::int32_t> targets_r, float scale, float z_loss,
                   std::span<float> loss_r, std::span<float> z_r, std::span<T> dlogits_rv);

}  // namespace stoa::trainer

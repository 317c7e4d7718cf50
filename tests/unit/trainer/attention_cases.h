#pragma once
/// What the tests of attention share: a shape with its inputs, and the kernels' results in vectors.
#include "stoa/tests/reference/attention_reference.h"
#include "stoa/tests/unit/trainer/kernel_cases.h"
#include "stoa/trainer/kernels/attention.h"

namespace stoa::trainer {

inline reference::AttentionSizes sizes_of(const AttentionShape& shape) {
  return {static_cast<std::size_t>(shape.samples), static_cast<std::size_t>(shape.tokens),
          static_cast<std::size_t>(shape.heads), static_cast<std::size_t>(shape.key_value_heads),
          static_cast<std::size_t>(shape.head_width)};
}

template <typename T>
struct AttentionInputs {
  explicit AttentionInputs(const AttentionShape& s)
      : shape(s),
        qkv_btc(normal_values<T>(static_cast<std::size_t>(s.samples * s.tokens * s.columns()), 11)),
        do_bthe(normal_values<T>(static_cast<std::size_t>(s.samples * s.tokens * s.heads * s.head_width), 12)) {}
  AttentionShape shape;
  std::vector<T> qkv_btc;
  std::vector<T> do_bthe;
};

template <typename T>
struct AttentionResult {
  std::vector<T> o_bthe;
  std::vector<float> lse_bht;
  std::vector<T> dqkv_btc;
};

template <typename T>
AttentionResult<T> run_attention(cpu::Queue& queue, const AttentionInputs<T>& in, const AttentionDropout& dropout,
                                 const std::vector<std::int32_t>& begin_bt = {}) {
  const AttentionShape& shape = in.shape;
  AttentionResult<T> out{std::vector<T>(in.do_bthe.size()),
                         std::vector<float>(static_cast<std::size_t>(shape.samples * shape.heads * shape.tokens)),
                         std::vector<T>(in.qkv_btc.size(), from_float<T>(99.0F))};
  std::vector<float> workspace(attention_workspace_floats(shape, queue.threads()), 77.0F);
  attention_forward<T>(queue, shape, in.qkv_btc, begin_bt, dropout, out.o_bthe, out.lse_bht);
  attention_backward<T>(queue, shape, in.qkv_btc, out.o_bthe, in.do_bthe, out.lse_bht, begin_bt, dropout, out.dqkv_btc,
                        workspace);
  return out;
}

/// The mask as attention.h documents it, number by number.
inline reference::Values dropout_factors(const AttentionShape& shape, const AttentionDropout& dropout) {
  reference::Values factors;
  const std::int64_t blocks = (shape.tokens + 3) / 4;
  for (std::int64_t row = 0; row < shape.samples * shape.heads * shape.tokens; ++row)
    for (std::int64_t s = 0; s < shape.tokens; ++s) {
      const std::int64_t global_row = dropout.first_sample * shape.heads * shape.tokens + row;
      const PhiloxBlock block =
          philox_block(dropout.key, static_cast<std::uint64_t>(global_row * blocks + s / 4), dropout.step);
      const float number = uniform_float(block[static_cast<std::size_t>(s % 4)]);
      factors.push_back(number >= dropout.rate ? 1.0 / (1.0 - static_cast<double>(dropout.rate)) : 0.0);
    }
  return factors;
}

/// Of a result of attention against double. fp32: sums of some hundred terms of order 1. bf16: o is stored with 2^-9
/// relative error, and the backward pass takes dO . O from that, which moves a score's gradient by as much of |dO| |O|.
template <typename T>
Tolerance attention_tolerance(double scale) {
  return sizeof(T) == 2 ? Tolerance{.relative = 0x1p-8, .absolute = 0.01 * scale}
                        : Tolerance{.relative = 2e-5, .absolute = 2e-5 * scale};
}

}  // namespace stoa::trainer

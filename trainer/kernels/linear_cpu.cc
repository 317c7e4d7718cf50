#include <type_traits>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/trainer/kernels/elementwise.h"
#include "stoa/trainer/kernels/linear.h"
#include "stoa/trainer/kernels/linear_loops.h"
#include "stoa/trainer/kernels/matmul_cache.h"

namespace stoa::trainer {
namespace {

using cpu::Isa;
using cpu::LinearShape;

template <typename T>
constexpr ElementType kElement = std::is_same_v<T, float> ? ElementType::kFloat : ElementType::kBf16;

template <typename T>
const auto& plain_loops() {
  return cpu::plain::linear_loops.template of<T>();
}

std::size_t product(std::int64_t a, std::int64_t b) { return static_cast<std::size_t>(a * b); }

void require(bool fits, const char* product_name, const LinearShape& shape) {
  if (!fits)
    throw InternalError("{}: the memory does not hold {} rows, {} inputs, {} outputs", product_name, shape.rows,
                        shape.inputs, shape.outputs);
}

template <typename T>
bool needs_conversion(const cpu::Queue& queue) {
  return std::is_same_v<T, bf16> && queue.isa() != Isa::kAvx512Bf16;
}

/// bf16 operands through fp32's product: both are widened, and a bf16 result is computed in fp32 and rounded.
template <typename TY>
void multiply_converted(cpu::Queue& queue, ProductKey key, std::span<const bf16> left, std::span<const bf16> right,
                        const float* bias, std::span<TY> result) {
  constexpr bool kRounded = std::is_same_v<TY, bf16>;
  const std::size_t operands = left.size() + right.size();
  const std::span<float> memory =
      queue.matmul_cache().conversion_floats(operands + (kRounded ? result.size() : std::size_t{0}));
  const std::span<float> left_float = memory.first(left.size());
  const std::span<float> right_float = memory.subspan(left.size(), right.size());
  cast(queue, left, left_float);
  cast(queue, right, right_float);
  key.operand = ElementType::kFloat;
  key.result = ElementType::kFloat;
  if constexpr (kRounded) {
    const std::span<float> result_float = memory.subspan(operands);
    queue.matmul_cache().multiply(key, left_float.data(), right_float.data(), bias, result_float.data());
    cast(queue, std::span<const float>(result_float), result);
  } else {
    queue.matmul_cache().multiply(key, left_float.data(), right_float.data(), bias, result.data());
  }
}

template <typename TX, typename TY>
void multiply(cpu::Queue& queue, ProductForm form, const LinearShape& shape, std::span<const TX> left,
              std::span<const TX> right, const float* bias, std::span<TY> result) {
  const ProductKey key{.form = form,
                       .operand = kElement<TX>,
                       .result = kElement<TY>,
                       .bias = bias == nullptr ? BiasUse::kNone : BiasUse::kAdded,
                       .rows = shape.rows,
                       .inputs = shape.inputs,
                       .outputs = shape.outputs};
  if constexpr (std::is_same_v<TX, bf16>) {
    if (needs_conversion<TX>(queue)) return multiply_converted(queue, key, left, right, bias, result);
  }
  queue.matmul_cache().multiply(key, left.data(), right.data(), bias, result.data());
}

/// Row by row of the result, through a row of fp32 where the result is rounded.
template <typename TY, typename Row>
void plain_rows(cpu::Queue& queue, std::int64_t rows, std::int64_t columns, std::span<TY> y, const Row& row) {
  queue.parallel_for(rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      TY* y_row = y.data() + n * columns;
      if constexpr (std::is_same_v<TY, float>) {
        row(n, y_row);
      } else {
        thread_local std::vector<float> sums;
        sums.resize(static_cast<std::size_t>(columns));
        row(n, sums.data());
        for (std::int64_t c = 0; c < columns; ++c) y_row[c] = to_bf16(sums[static_cast<std::size_t>(c)]);
      }
    }
  });
}

}  // namespace

template <typename TX, typename TY>
void linear_forward(cpu::Queue& queue, std::span<const TX> x_nd, std::span<const TX> w_fd, std::span<const float> b_f,
                    std::int64_t rows, std::int64_t inputs, std::int64_t outputs, std::span<TY> y_nf) {
  const LinearShape shape{rows, inputs, outputs};
  const float* bias = b_f.empty() ? nullptr : b_f.data();
  require(x_nd.size() >= product(rows, inputs) && w_fd.size() >= product(outputs, inputs) &&
              y_nf.size() >= product(rows, outputs),
          "linear_forward", shape);
  if (rows == 0 || outputs == 0) return;
  if (queue.isa() != Isa::kPlain)
    return multiply(queue, ProductForm::kForward, shape, x_nd.first(product(rows, inputs)),
                    w_fd.first(product(outputs, inputs)), bias, y_nf.first(product(rows, outputs)));
  plain_rows(queue, rows, outputs, y_nf, [&](std::int64_t n, float* y_f) {
    plain_loops<TX>().forward(shape, x_nd.data(), w_fd.data(), bias, y_f, n);
  });
}

template <typename TX, typename TY>
void linear_backward_input(cpu::Queue& queue, std::span<const TX> dy_nf, std::span<const TX> w_fd, std::int64_t rows,
                           std::int64_t inputs, std::int64_t outputs, std::span<TY> dx_nd) {
  const LinearShape shape{rows, inputs, outputs};
  require(dy_nf.size() >= product(rows, outputs) && w_fd.size() >= product(outputs, inputs) &&
              dx_nd.size() >= product(rows, inputs),
          "linear_backward_input", shape);
  if (rows == 0 || inputs == 0) return;
  if (queue.isa() != Isa::kPlain)
    return multiply(queue, ProductForm::kInputGradient, shape, dy_nf.first(product(rows, outputs)),
                    w_fd.first(product(outputs, inputs)), nullptr, dx_nd.first(product(rows, inputs)));
  plain_rows(queue, rows, inputs, dx_nd, [&](std::int64_t n, float* dx_d) {
    plain_loops<TX>().backward_input(shape, dy_nf.data(), w_fd.data(), dx_d, n);
  });
}

template <typename TX>
void linear_backward_weight(cpu::Queue& queue, std::span<const TX> dy_nf, std::span<const TX> x_nd, std::int64_t rows,
                            std::int64_t inputs, std::int64_t outputs, std::span<float> dw_fd) {
  const LinearShape shape{rows, inputs, outputs};
  require(dy_nf.size() >= product(rows, outputs) && x_nd.size() >= product(rows, inputs) &&
              dw_fd.size() >= product(outputs, inputs),
          "linear_backward_weight", shape);
  if (rows == 0 || inputs == 0 || outputs == 0) return;
  if (queue.isa() != Isa::kPlain)
    return multiply(queue, ProductForm::kWeightGradient, shape, dy_nf.first(product(rows, outputs)),
                    x_nd.first(product(rows, inputs)), nullptr, dw_fd.first(product(outputs, inputs)));
  queue.parallel_for(outputs, 1, [&](std::int64_t begin, std::int64_t end) {
    plain_loops<TX>().backward_weight(shape, dy_nf.data(), x_nd.data(), dw_fd.data(), begin, end);
  });
}

#define STOA_LINEAR_OF(TX, TY)                                                                                        \
  template void linear_forward<TX, TY>(cpu::Queue&, std::span<const TX>, std::span<const TX>, std::span<const float>, \
                                       std::int64_t, std::int64_t, std::int64_t, std::span<TY>);                      \
  template void linear_backward_input<TX, TY>(cpu::Queue&, std::span<const TX>, std::span<const TX>, std::int64_t,    \
                                              std::int64_t, std::int64_t, std::span<TY>);
STOA_LINEAR_OF(float, float)
STOA_LINEAR_OF(bf16, bf16)
STOA_LINEAR_OF(bf16, float)
#undef STOA_LINEAR_OF
template void linear_backward_weight<float>(cpu::Queue&, std::span<const float>, std::span<const float>, std::int64_t,
                                            std::int64_t, std::int64_t, std::span<float>);
template void linear_backward_weight<bf16>(cpu::Queue&, std::span<const bf16>, std::span<const bf16>, std::int64_t,
                                           std::int64_t, std::int64_t, std::span<float>);

}  // namespace stoa::trainer

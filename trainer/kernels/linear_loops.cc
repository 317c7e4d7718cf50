#include "stoa/trainer/kernels/linear_loops.h"

#include "stoa/trainer/kernels/loop_values.h"

namespace stoa::trainer::cpu::STOA_ISA {
namespace {

template <typename T>
float dot(const T* a, const T* b, std::int64_t count) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < count; ++i) sum += load(a, i) * load(b, i);
  return sum;
}

template <typename T>
void add_scaled(float factor, const T* x, float* y, std::int64_t count) {
#pragma omp simd
  for (std::int64_t i = 0; i < count; ++i) y[i] += factor * load(x, i);
}

template <typename T>
void forward(const LinearShape& shape, const T* x_nd, const T* w_fd, const float* b_f, float* y_f, std::int64_t n) {
  for (std::int64_t f = 0; f < shape.outputs; ++f)
    y_f[f] = dot(x_nd + n * shape.inputs, w_fd + f * shape.inputs, shape.inputs) + (b_f != nullptr ? b_f[f] : 0.0F);
}

template <typename T>
void backward_input(const LinearShape& shape, const T* dy_nf, const T* w_fd, float* dx_d, std::int64_t n) {
  for (std::int64_t d = 0; d < shape.inputs; ++d) dx_d[d] = 0;
  for (std::int64_t f = 0; f < shape.outputs; ++f)
    add_scaled(load(dy_nf, n * shape.outputs + f), w_fd + f * shape.inputs, dx_d, shape.inputs);
}

template <typename T>
void backward_weight(const LinearShape& shape, const T* dy_nf, const T* x_nd, float* dw_fd, std::int64_t begin,
                     std::int64_t end) {
  for (std::int64_t n = 0; n < shape.rows; ++n)
    for (std::int64_t f = begin; f < end; ++f)
      add_scaled(load(dy_nf, n * shape.outputs + f), x_nd + n * shape.inputs, dw_fd + f * shape.inputs, shape.inputs);
}

}  // namespace

const TypedLoops<LinearLoops> linear_loops = {
    {&forward<float>, &backward_input<float>, &backward_weight<float>},
    {&forward<bf16>, &backward_input<bf16>, &backward_weight<bf16>},
};

}  // namespace stoa::trainer::cpu::STOA_ISA

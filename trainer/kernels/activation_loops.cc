#include "stoa/trainer/kernels/activation_loops.h"

#include "stoa/trainer/kernels/cpu_math.h"
#include "stoa/trainer/kernels/loop_values.h"

namespace stoa::trainer::cpu::STOA_ISA {
namespace {

constexpr float kRootTwoOverPi = 0.79788456080286535588F;
constexpr float kCubic = 0.044715F;

template <typename T>
void swiglu_forward(const T* gate_up, std::int64_t width, T* y_nf, std::int64_t begin, std::int64_t end) {
  for (std::int64_t n = begin; n < end; ++n) {
    const T* gate = gate_up + 2 * n * width;
    const T* up = gate + width;
    T* y = y_nf + n * width;
#pragma omp simd
    for (std::int64_t f = 0; f < width; ++f) {
      const float g = load(gate, f);
      store(y, f, g / (1.0F + fast_exp(-g)) * load(up, f));
    }
  }
}

template <typename T>
void swiglu_backward(const T* dy_nf, const T* gate_up, std::int64_t width, T* dgate_up, std::int64_t begin,
                     std::int64_t end) {
  for (std::int64_t n = begin; n < end; ++n) {
    const T* dy = dy_nf + n * width;
    const T* gate = gate_up + 2 * n * width;
    const T* up = gate + width;
    T* dgate = dgate_up + 2 * n * width;
    T* dup = dgate + width;
#pragma omp simd
    for (std::int64_t f = 0; f < width; ++f) {
      const float g = load(gate, f);
      const float u = load(up, f);
      const float dy_f = load(dy, f);
      const float sigmoid = 1.0F / (1.0F + fast_exp(-g));
      store(dgate, f, dy_f * u * (sigmoid * (1.0F + g * (1.0F - sigmoid))));
      store(dup, f, dy_f * (g * sigmoid));
    }
  }
}

template <typename T>
void gelu_forward(const T* x, T* y, std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float x_i = load(x, i);
    const float t = fast_tanh(kRootTwoOverPi * (x_i + kCubic * x_i * x_i * x_i));
    store(y, i, 0.5F * x_i * (1.0F + t));
  }
}

template <typename T>
void gelu_backward(const T* dy, const T* x, T* dx, std::int64_t begin, std::int64_t end) {
#pragma omp simd
  for (std::int64_t i = begin; i < end; ++i) {
    const float x_i = load(x, i);
    const float t = fast_tanh(kRootTwoOverPi * (x_i + kCubic * x_i * x_i * x_i));
    const float slope = kRootTwoOverPi * (1.0F + 3.0F * kCubic * x_i * x_i);
    store(dx, i, load(dy, i) * (0.5F * (1.0F + t) + 0.5F * x_i * (1.0F - t * t) * slope));
  }
}

}  // namespace

const TypedLoops<ActivationLoops> activation_loops = {
    {&swiglu_forward<float>, &swiglu_backward<float>, &gelu_forward<float>, &gelu_backward<float>},
    {&swiglu_forward<bf16>, &swiglu_backward<bf16>, &gelu_forward<bf16>, &gelu_backward<bf16>}};

}  // namespace stoa::trainer::cpu::STOA_ISA

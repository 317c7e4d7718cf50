#include "stoa/trainer/kernels/activation.h"
#include "stoa/trainer/kernels/activation_loops.h"
#include "stoa/trainer/kernels/cpu_select.h"

namespace stoa::trainer {
namespace {

constexpr std::int64_t kRowGrain = 4;
constexpr std::int64_t kElementGrain = 4096;

template <typename T>
const cpu::ActivationLoops<T>& loops_of(const cpu::Queue& queue) {
  return cpu::select_loops(queue.isa(), cpu::plain::activation_loops, cpu::avx2::activation_loops,
                           cpu::avx512::activation_loops)
      .template of<T>();
}

}  // namespace

template <typename T>
void swiglu_forward(cpu::Queue& queue, std::span<const T> gate_up_n2f, std::int64_t width, std::span<T> y_nf) {
  const auto& loops = loops_of<T>(queue);
  queue.parallel_for(static_cast<std::int64_t>(y_nf.size()) / width, kRowGrain,
                     [&](std::int64_t begin, std::int64_t end) {
                       loops.swiglu_forward(gate_up_n2f.data(), width, y_nf.data(), begin, end);
                     });
}

template <typename T>
void swiglu_backward(cpu::Queue& queue, std::span<const T> dy_nf, std::span<const T> gate_up_n2f, std::int64_t width,
                     std::span<T> dgate_up_n2f) {
  const auto& loops = loops_of<T>(queue);
  queue.parallel_for(static_cast<std::int64_t>(dy_nf.size()) / width, kRowGrain,
                     [&](std::int64_t begin, std::int64_t end) {
                       loops.swiglu_backward(dy_nf.data(), gate_up_n2f.data(), width, dgate_up_n2f.data(), begin, end);
                     });
}

template <typename T>
void gelu_forward(cpu::Queue& queue, std::span<const T> x_nf, std::span<T> y_nf) {
  const auto& loops = loops_of<T>(queue);
  queue.parallel_for(static_cast<std::int64_t>(y_nf.size()), kElementGrain, [&](std::int64_t begin, std::int64_t end) {
    loops.gelu_forward(x_nf.data(), y_nf.data(), begin, end);
  });
}

template <typename T>
void gelu_backward(cpu::Queue& queue, std::span<const T> dy_nf, std::span<const T> x_nf, std::span<T> dx_nf) {
  const auto& loops = loops_of<T>(queue);
  queue.parallel_for(static_cast<std::int64_t>(dx_nf.size()), kElementGrain, [&](std::int64_t begin, std::int64_t end) {
    loops.gelu_backward(dy_nf.data(), x_nf.data(), dx_nf.data(), begin, end);
  });
}

#define STOA_INSTANTIATE(T)                                                                                          \
  template void swiglu_forward<T>(cpu::Queue&, std::span<const T>, std::int64_t, std::span<T>);                      \
  template void swiglu_backward<T>(cpu::Queue&, std::span<const T>, std::span<const T>, std::int64_t, std::span<T>); \
  template void gelu_forward<T>(cpu::Queue&, std::span<const T>, std::span<T>);                                      \
  template void gelu_backward<T>(cpu::Queue&, std::span<const T>, std::span<const T>, std::span<T>)
STOA_INSTANTIATE(float);
STOA_INSTANTIATE(bf16);

}  // namespace stoa::trainer

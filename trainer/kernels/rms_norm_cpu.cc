#include "stoa/trainer/kernels/cpu_select.h"
#include "stoa/trainer/kernels/rms_norm.h"
#include "stoa/trainer/kernels/rms_norm_loops.h"
#include "stoa/trainer/kernels/row_chunks.h"

namespace stoa::trainer {
namespace {

constexpr std::int64_t kRowGrain = 4;

template <typename T>
const cpu::RmsNormLoops<T>& loops_of(const cpu::Queue& queue) {
  return cpu::select_loops(queue.isa(), cpu::plain::rms_norm_loops, cpu::avx2::rms_norm_loops,
                           cpu::avx512::rms_norm_loops)
      .template of<T>();
}

}  // namespace

template <typename T>
void rms_norm_forward(cpu::Queue& queue, std::span<const float> x_nd, std::span<const T> branch_nd,
                      std::span<const float> w_d, float epsilon, std::span<float> sum_nd, std::span<T> y_nd,
                      std::span<float> inv_rms_n) {
  const cpu::RmsNormRows<T> rows{.x_nd = x_nd.data(),
                                 .branch_nd = branch_nd.empty() ? nullptr : branch_nd.data(),
                                 .w_d = w_d.data(),
                                 .epsilon = epsilon,
                                 .width = static_cast<std::int64_t>(w_d.size()),
                                 .sum_nd = sum_nd.data(),
                                 .y_nd = y_nd.data(),
                                 .inv_rms_n = inv_rms_n.data()};
  const auto& loops = loops_of<T>(queue);
  queue.parallel_for(static_cast<std::int64_t>(inv_rms_n.size()), kRowGrain,
                     [&](std::int64_t begin, std::int64_t end) { loops.forward(rows, begin, end); });
}

template <typename T>
void rms_norm_recompute(cpu::Queue& queue, std::span<const float> x_nd, std::span<const float> w_d,
                        std::span<const float> inv_rms_n, std::span<T> y_nd) {
  const cpu::RmsNormRows<T> rows{.x_nd = x_nd.data(),
                                 .branch_nd = nullptr,
                                 .w_d = w_d.data(),
                                 .epsilon = 0,
                                 .width = static_cast<std::int64_t>(w_d.size()),
                                 .sum_nd = nullptr,
                                 .y_nd = y_nd.data(),
                                 .inv_rms_n = nullptr};
  const auto& loops = loops_of<T>(queue);
  queue.parallel_for(static_cast<std::int64_t>(inv_rms_n.size()), kRowGrain, [&](std::int64_t begin, std::int64_t end) {
    loops.recompute(rows, inv_rms_n.data(), begin, end);
  });
}

template <typename T>
void rms_norm_backward(cpu::Queue& queue, std::span<const T> dy_nd, std::span<const float> x_nd,
                       std::span<const float> w_d, std::span<const float> inv_rms_n, std::span<float> dx_nd,
                       std::span<float> dw_d, std::span<float> workspace) {
  const auto width = static_cast<std::int64_t>(w_d.size());
  const auto tokens = static_cast<std::int64_t>(inv_rms_n.size());
  const cpu::RmsNormGradientRows<T> rows{.dy_nd = dy_nd.data(),
                                         .x_nd = x_nd.data(),
                                         .w_d = w_d.data(),
                                         .inv_rms_n = inv_rms_n.data(),
                                         .width = width,
                                         .dx_nd = dx_nd.data()};
  const auto& loops = loops_of<T>(queue);
  float* const partial_cd = workspace.data();
  cpu::for_each_row_chunk(queue, tokens, [&](std::int64_t chunk, std::int64_t begin, std::int64_t end) {
    loops.backward(rows, begin, end, partial_cd + chunk * width);
  });
  cpu::add_partial_sums(queue, partial_cd, cpu::row_chunks(tokens), width, dw_d);
}

std::size_t norm_workspace_floats(std::size_t tokens, std::size_t width) {
  // Two partial sums of each chunk: LayerNorm's weight and bias.
  return 2 * static_cast<std::size_t>(cpu::row_chunks(static_cast<std::int64_t>(tokens))) * width;
}

#define STOA_INSTANTIATE(T)                                                                                           \
  template void rms_norm_forward<T>(cpu::Queue&, std::span<const float>, std::span<const T>, std::span<const float>,  \
                                    float, std::span<float>, std::span<T>, std::span<float>);                         \
  template void rms_norm_backward<T>(cpu::Queue&, std::span<const T>, std::span<const float>, std::span<const float>, \
                                     std::span<const float>, std::span<float>, std::span<float>, std::span<float>);   \
  template void rms_norm_recompute<T>(cpu::Queue&, std::span<const float>, std::span<const float>,                    \
                                      std::span<const float>, std::span<T>)
STOA_INSTANTIATE(float);
STOA_INSTANTIATE(bf16);

}  // namespace stoa::trainer

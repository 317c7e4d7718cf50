#include "stoa/trainer/kernels/cpu_select.h"
#include "stoa/trainer/kernels/head_norm.h"
#include "stoa/trainer/kernels/head_norm_loops.h"
#include "stoa/trainer/kernels/row_chunks.h"

namespace stoa::trainer {
namespace {

constexpr std::int64_t kRowGrain = 4;

template <typename T>
const cpu::HeadNormLoops<T>& loops_of(const cpu::Queue& queue) {
  return cpu::select_loops(queue.isa(), cpu::plain::head_norm_loops, cpu::avx2::head_norm_loops,
                           cpu::avx512::head_norm_loops)
      .template of<T>();
}

}  // namespace

template <typename T>
void head_norm_forward(cpu::Queue& queue, std::span<const T> x_nc, const HeadColumns& columns,
                       std::span<const float> w_e, float epsilon, std::span<T> y_nc, std::span<float> inv_rms_nh) {
  const cpu::HeadNormRows<T> rows{
      .x_nc = x_nc.data(), .w_e = w_e.data(), .epsilon = epsilon, .y_nc = y_nc.data(), .inv_rms_nh = inv_rms_nh.data()};
  const auto& loops = loops_of<T>(queue);
  queue.parallel_for(columns.rows, kRowGrain,
                     [&](std::int64_t begin, std::int64_t end) { loops.forward(rows, columns, begin, end); });
}

template <typename T>
void head_norm_backward(cpu::Queue& queue, std::span<const T> x_nc, const HeadColumns& columns,
                        std::span<const float> w_e, std::span<const float> inv_rms_nh, std::span<T> d_nc,
                        std::span<float> dw_e, std::span<float> workspace) {
  const cpu::HeadNormGradientRows<T> rows{
      .x_nc = x_nc.data(), .w_e = w_e.data(), .inv_rms_nh = inv_rms_nh.data(), .d_nc = d_nc.data()};
  const auto& loops = loops_of<T>(queue);
  float* const partial_ce = workspace.data();
  cpu::for_each_row_chunk(queue, columns.rows, [&](std::int64_t chunk, std::int64_t begin, std::int64_t end) {
    loops.backward(rows, columns, begin, end, partial_ce + chunk * columns.head_width);
  });
  cpu::add_partial_sums(queue, partial_ce, cpu::row_chunks(columns.rows), columns.head_width, dw_e);
}

std::size_t head_norm_workspace_floats(std::size_t tokens, std::size_t head_width) {
  return static_cast<std::size_t>(cpu::row_chunks(static_cast<std::int64_t>(tokens))) * head_width;
}

#define STOA_INSTANTIATE(T)                                                                                        \
  template void head_norm_forward<T>(cpu::Queue&, std::span<const T>, const HeadColumns&, std::span<const float>,  \
                                     float, std::span<T>, std::span<float>);                                       \
  template void head_norm_backward<T>(cpu::Queue&, std::span<const T>, const HeadColumns&, std::span<const float>, \
                                      std::span<const float>, std::span<T>, std::span<float>, std::span<float>)
STOA_INSTANTIATE(float);
STOA_INSTANTIATE(bf16);

}  // namespace stoa::trainer

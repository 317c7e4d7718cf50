#include <algorithm>

#include "stoa/trainer/kernels/cpu_select.h"
#include "stoa/trainer/kernels/elementwise_loops.h"
#include "stoa/trainer/kernels/embedding.h"

namespace stoa::trainer {
namespace {

const cpu::ElementwiseLoops& loops_of(const cpu::Queue& queue) {
  return cpu::select_loops(queue.isa(), cpu::plain::elementwise_loops, cpu::avx2::elementwise_loops,
                           cpu::avx512::elementwise_loops);
}

}  // namespace

void embedding_forward(cpu::Queue& queue, std::span<const std::int32_t> tokens, std::span<const float> table_vd,
                       std::span<const float> learned_td, std::int64_t width, const RowPositions& positions,
                       std::span<float> x_nd) {
  constexpr std::int64_t kRowGrain = 8;
  const auto& loops = loops_of(queue);
  const auto forward_rows = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) {
      const float* row = table_vd.data() + tokens[static_cast<std::size_t>(n)] * width;
      float* x = x_nd.data() + n * width;
      if (learned_td.empty())
        std::copy_n(row, width, x);
      else
        loops.add_to(row, learned_td.data() + positions.of(n) * width, x, width);
    }
  };
  queue.parallel_for(static_cast<std::int64_t>(tokens.size()), kRowGrain, forward_rows);
}

void embedding_backward(cpu::Queue& queue, std::span<const std::int32_t> tokens, std::span<const float> dx_nd,
                        std::int64_t width, const RowPositions& positions, std::span<float> dtable_vd,
                        std::span<float> dlearned_td) {
  constexpr std::int64_t kColumnGrain = 64;
  const auto& loops = loops_of(queue);
  const auto count = static_cast<std::int64_t>(tokens.size());
  queue.parallel_for(width, kColumnGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = 0; n < count; ++n) {
      const float* dx = dx_nd.data() + n * width + begin;
      const std::int64_t row = tokens[static_cast<std::size_t>(n)];
      loops.add(dx, dtable_vd.data() + row * width + begin, end - begin);
      if (!dlearned_td.empty()) loops.add(dx, dlearned_td.data() + positions.of(n) * width + begin, end - begin);
    }
  });
}

}  // namespace stoa::trainer

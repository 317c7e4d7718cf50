#include "stoa/trainer/kernels/rope.h"

#include <cmath>

#include "stoa/trainer/kernels/cpu_select.h"
#include "stoa/trainer/kernels/rope_loops.h"

namespace stoa::trainer {

void rope_table(double theta, std::int64_t positions, std::int64_t head_width, std::span<float> table_te) {
  const std::int64_t half = head_width / 2;
  for (std::int64_t e = 0; e < half; ++e) {
    const double frequency = std::pow(theta, -2.0 * static_cast<double>(e) / static_cast<double>(head_width));
    for (std::int64_t t = 0; t < positions; ++t) {
      const double angle = static_cast<double>(t) * frequency;
      table_te[static_cast<std::size_t>(t * head_width + e)] = static_cast<float>(std::cos(angle));
      table_te[static_cast<std::size_t>(t * head_width + half + e)] = static_cast<float>(std::sin(angle));
    }
  }
}

template <typename T>
void rope(cpu::Queue& queue, std::span<T> x_nc, const HeadColumns& columns, std::span<const float> table_te,
          const RowPositions& positions, RopeDirection direction) {
  constexpr std::int64_t kRowGrain = 4;
  const cpu::RopeRows rows{.columns = columns,
                           .table_te = table_te.data(),
                           .positions_per_sequence = positions.per_sequence,
                           .first_position = positions.first,
                           .position_ids = positions.ids.empty() ? nullptr : positions.ids.data(),
                           .sine_sign = direction == RopeDirection::kForward ? 1.0F : -1.0F};
  const auto& loops =
      cpu::select_loops(queue.isa(), cpu::plain::rope_loops, cpu::avx2::rope_loops, cpu::avx512::rope_loops)
          .template of<T>();
  queue.parallel_for(columns.rows, kRowGrain,
                     [&](std::int64_t begin, std::int64_t end) { loops.turn(rows, x_nc.data(), begin, end); });
}

template void rope<float>(cpu::Queue&, std::span<float>, const HeadColumns&, std::span<const float>,
                          const RowPositions&, RopeDirection);
template void rope<bf16>(cpu::Queue&, std::span<bf16>, const HeadColumns&, std::span<const float>, const RowPositions&,
                         RopeDirection);

}  // namespace stoa::trainer

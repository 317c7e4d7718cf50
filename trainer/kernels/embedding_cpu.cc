#include <algorithm>
#include <optional>

#include "stoa/trainer/kernels/cpu_select.h"
#include "stoa/trainer/kernels/elementwise_loops.h"
#include "stoa/trainer/kernels/embedding.h"

namespace stoa::trainer {
namespace {

const cpu::ElementwiseLoops& loops_of(const cpu::Queue& queue) {
  return cpu::select_loops(queue.isa(), cpu::plain::elementwise_loops, cpu::avx2::elementwise_loops,
                           cpu::avx512::elementwise_loops);
}

/// The table's row of each token; none: the token is of another rank's slice.
class TableRows {
 public:
  TableRows(std::span<const std::int32_t> tokens, std::int64_t first_token, std::size_t table_floats,
            std::int64_t width)
      : tokens_(tokens), first_(first_token), count_(static_cast<std::int64_t>(table_floats) / width) {}

  std::optional<std::int64_t> of(std::int64_t n) const {
    const std::int64_t row = tokens_[static_cast<std::size_t>(n)] - first_;
    if (row < 0 || row >= count_) return std::nullopt;
    return row;
  }

 private:
  std::span<const std::int32_t> tokens_;
  std::int64_t first_;
  std::int64_t count_;
};

}  // namespace

void embedding_forward(cpu::Queue& queue, std::span<const std::int32_t> tokens, std::span<const float> table_vd,
                       std::span<const float> learned_td, std::int64_t width, const RowPositions& positions,
                       std::span<float> x_nd, std::int64_t first_token) {
  constexpr std::int64_t kRowGrain = 8;
  const auto& loops = loops_of(queue);
  const TableRows rows(tokens, first_token, table_vd.size(), width);
  const auto forward_row = [&](std::int64_t n) {
    const std::optional<std::int64_t> row = rows.of(n);
    const float* of_token = row ? table_vd.data() + *row * width : nullptr;
    const float* of_position = learned_td.empty() ? nullptr : learned_td.data() + positions.of(n) * width;
    float* x = x_nd.data() + n * width;
    if (of_token != nullptr && of_position != nullptr)
      loops.add_to(of_token, of_position, x, width);
    else if (of_token != nullptr || of_position != nullptr)
      std::copy_n(of_token != nullptr ? of_token : of_position, width, x);
    else
      std::fill_n(x, width, 0.0F);
  };
  const auto forward_rows = [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = begin; n < end; ++n) forward_row(n);
  };
  queue.parallel_for(static_cast<std::int64_t>(tokens.size()), kRowGrain, forward_rows);
}

void embedding_backward(cpu::Queue& queue, std::span<const std::int32_t> tokens, std::span<const float> dx_nd,
                        std::int64_t width, const RowPositions& positions, std::span<float> dtable_vd,
                        std::span<float> dlearned_td, std::int64_t first_token) {
  constexpr std::int64_t kColumnGrain = 64;
  const auto& loops = loops_of(queue);
  const TableRows rows(tokens, first_token, dtable_vd.size(), width);
  const auto count = static_cast<std::int64_t>(tokens.size());
  queue.parallel_for(width, kColumnGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t n = 0; n < count; ++n) {
      const float* dx = dx_nd.data() + n * width + begin;
      if (const std::optional<std::int64_t> row = rows.of(n))
        loops.add(dx, dtable_vd.data() + *row * width + begin, end - begin);
      if (!dlearned_td.empty()) loops.add(dx, dlearned_td.data() + positions.of(n) * width + begin, end - begin);
    }
  });
}

}  // namespace stoa::trainer

#include "stoa/trainer/kernels/elementwise.h"

#include <bit>
#include <cstring>

#include "stoa/trainer/kernels/cpu_select.h"
#include "stoa/trainer/kernels/elementwise_loops.h"
#include "stoa/trainer/kernels/row_chunks.h"

namespace stoa::trainer {
namespace {

constexpr std::int64_t kGrain = 16384;

const cpu::ElementwiseLoops& loops_of(const cpu::Queue& queue) {
  return cpu::select_loops(queue.isa(), cpu::plain::elementwise_loops, cpu::avx2::elementwise_loops,
                           cpu::avx512::elementwise_loops);
}

template <typename T>
const cpu::TypedElementwiseLoops<T>& typed_loops_of(const cpu::Queue& queue) {
  return cpu::select_loops(queue.isa(), cpu::plain::typed_elementwise_loops, cpu::avx2::typed_elementwise_loops,
                           cpu::avx512::typed_elementwise_loops)
      .template of<T>();
}

}  // namespace

void cast(cpu::Queue& queue, std::span<const float> x, std::span<bf16> y) {
  const auto& loops = loops_of(queue);
  queue.parallel_for(static_cast<std::int64_t>(y.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
    loops.to_bf16(x.data() + begin, y.data() + begin, end - begin);
  });
}

void cast(cpu::Queue& queue, std::span<const bf16> x, std::span<float> y) {
  const auto& loops = loops_of(queue);
  queue.parallel_for(static_cast<std::int64_t>(y.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
    loops.to_float(x.data() + begin, y.data() + begin, end - begin);
  });
}

void add(cpu::Queue& queue, std::span<const float> x, std::span<float> y) {
  const auto& loops = loops_of(queue);
  queue.parallel_for(static_cast<std::int64_t>(y.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
    loops.add(x.data() + begin, y.data() + begin, end - begin);
  });
}

template <typename T>
void add_branch(cpu::Queue& queue, std::span<const float> x_nd, std::span<const T> branch_nd, std::span<float> sum_nd) {
  const auto& loops = typed_loops_of<T>(queue);
  queue.parallel_for(static_cast<std::int64_t>(sum_nd.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
    loops.add_branch(x_nd.data() + begin, branch_nd.data() + begin, end - begin, sum_nd.data() + begin);
  });
}

void fill(cpu::Queue& queue, float value, std::span<float> y) {
  const auto& loops = loops_of(queue);
  // The C library's memset goes past the cache where the run is long, which a plain loop does not.
  const bool zero = std::bit_cast<std::uint32_t>(value) == 0;
  queue.parallel_for(static_cast<std::int64_t>(y.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
    if (zero) {
      std::memset(y.data() + begin, 0, static_cast<std::size_t>(end - begin) * sizeof(float));
    } else {
      loops.fill(value, y.data() + begin, end - begin);
    }
  });
}

template <typename T>
void column_sum(cpu::Queue& queue, std::span<const T> dy_nc, std::int64_t columns, std::span<float> db_c,
                std::span<float> workspace) {
  const auto& loops = typed_loops_of<T>(queue);
  const std::int64_t rows = static_cast<std::int64_t>(dy_nc.size()) / columns;
  float* const partial_cd = workspace.data();
  cpu::for_each_row_chunk(queue, rows, [&](std::int64_t chunk, std::int64_t begin, std::int64_t end) {
    loops.sum_rows(dy_nc.data() + begin * columns, end - begin, columns, partial_cd + chunk * columns);
  });
  cpu::add_partial_sums(queue, partial_cd, cpu::row_chunks(rows), columns, db_c);
}

std::size_t column_sum_workspace_floats(std::size_t rows, std::size_t columns) {
  return static_cast<std::size_t>(cpu::row_chunks(static_cast<std::int64_t>(rows))) * columns;
}

template <typename T>
void dropout(cpu::Queue& queue, const DropoutSite& site, std::span<T> x) {
  if (site.rate <= 0) return;
  const auto& loops = typed_loops_of<T>(queue);
  queue.parallel_for(static_cast<std::int64_t>(x.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
    loops.dropout({.key = site.key,
                   .step = site.step,
                   .first = site.first_element + static_cast<std::uint64_t>(begin),
                   .rate = site.rate,
                   .scale = 1.0F / (1.0F - site.rate)},
                  x.data() + begin, end - begin);
  });
}

template void add_branch<float>(cpu::Queue&, std::span<const float>, std::span<const float>, std::span<float>);
template void add_branch<bf16>(cpu::Queue&, std::span<const float>, std::span<const bf16>, std::span<float>);
template void column_sum<float>(cpu::Queue&, std::span<const float>, std::int64_t, std::span<float>, std::span<float>);
template void column_sum<bf16>(cpu::Queue&, std::span<const bf16>, std::int64_t, std::span<float>, std::span<float>);
template void dropout<float>(cpu::Queue&, const DropoutSite&, std::span<float>);
template void dropout<bf16>(cpu::Queue&, const DropoutSite&, std::span<bf16>);

}  // namespace stoa::trainer

#include <algorithm>

#include "stoa/trainer/kernels/cpu_select.h"
#include "stoa/trainer/kernels/random_normal.h"
#include "stoa/trainer/kernels/random_normal_loops.h"

namespace stoa::trainer {
namespace {

constexpr std::int64_t kElements = 64;  // of sixteen blocks

struct Stream {
  const cpu::RandomNormalLoops& loops;
  PhiloxKey key;
  float std_deviation;

  /// Consecutive elements; only what the ends have of a group of blocks goes through a buffer.
  void fill(std::int64_t element, std::span<float> values) const {
    while (!values.empty()) {
      const std::int64_t skip = element % 4;
      const std::int64_t count = std::min(kElements - skip, std::ssize(values));
      float buffer[kElements];
      float* into = count == kElements ? values.data() : buffer;
      loops.sixteen_blocks(key.low, key.high, static_cast<std::uint64_t>(element / 4), std_deviation, into);
      if (count < kElements) std::copy_n(buffer + skip, count, values.begin());
      element += count;
      values = values.subspan(static_cast<std::size_t>(count));
    }
  }
};

}  // namespace

void fill_normal(cpu::Queue& queue, PhiloxKey key, float std_deviation, const NormalRows& rows,
                 std::span<float> values) {
  const Stream stream = {cpu::select_loops(queue.isa(), cpu::plain::random_normal_loops, cpu::avx2::random_normal_loops,
                                           cpu::avx512::random_normal_loops),
                         key, std_deviation};
  queue.parallel_for(std::ssize(values), kElements, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end;) {
      const std::int64_t row = at / rows.columns, column = at % rows.columns;
      const std::int64_t count = std::min(rows.columns - column, end - at);
      stream.fill(rows.first_element + row * rows.stride + column,
                  values.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(count)));
      at += count;
    }
  });
}

void fill_normal(cpu::Queue& queue, PhiloxKey key, float std_deviation, std::span<float> values) {
  const std::int64_t elements = std::ssize(values);
  fill_normal(queue, key, std_deviation, {0, std::max<std::int64_t>(elements, 1), elements}, values);
}

}  // namespace stoa::trainer

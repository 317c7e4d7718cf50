#include <algorithm>

#include "stoa/trainer/kernels/cpu_select.h"
#include "stoa/trainer/kernels/random_normal.h"
#include "stoa/trainer/kernels/random_normal_loops.h"

namespace stoa::trainer {

void fill_normal(cpu::Queue& queue, PhiloxKey key, float std_deviation, std::span<float> values) {
  constexpr std::int64_t kElements = 64;  // of sixteen blocks
  const auto& loops = cpu::select_loops(queue.isa(), cpu::plain::random_normal_loops, cpu::avx2::random_normal_loops,
                                        cpu::avx512::random_normal_loops);
  queue.parallel_for(std::ssize(values), kElements, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t at = begin; at < end; at += kElements) {
      const std::int64_t count = std::min(kElements, end - at);
      float last[kElements];
      float* into = count == kElements ? values.data() + at : last;
      loops.sixteen_blocks(key.low, key.high, static_cast<std::uint64_t>(at / 4), std_deviation, into);
      if (count < kElements) std::copy(last, last + count, values.begin() + at);
    }
  });
}

}  // namespace stoa::trainer

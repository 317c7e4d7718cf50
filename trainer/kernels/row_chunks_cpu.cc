#include "stoa/trainer/kernels/row_chunks.h"

namespace stoa::trainer::cpu {

void add_partial_sums(Queue& queue, const float* partial_cd, std::int64_t chunks, std::int64_t stride,
                      std::span<float> sum_d) {
  constexpr std::int64_t kGrain = 1024;
  queue.parallel_for(static_cast<std::int64_t>(sum_d.size()), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
      const float* partial = partial_cd + chunk * stride;
      for (std::int64_t d = begin; d < end; ++d) sum_d[static_cast<std::size_t>(d)] += partial[d];
    }
  });
}

}  // namespace stoa::trainer::cpu

#pragma once
/// Where CPU kernels run: one thread pool (OpenMP's, the same one oneDNN uses), the instruction set in use, the cache
/// of matrix-product primitives and their workspace. One queue a rank; one caller thread at a time. Kernels are
/// synchronous.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "stoa/trainer/kernels/cpu_isa.h"

namespace stoa::trainer {
class MatmulCache;
}

namespace stoa::trainer::cpu {

struct QueueSettings {
  int threads = 1;
  /// Processors the threads are pinned to, thread i to pinned[i]; empty: not pinned.
  std::span<const int> pinned;
  Isa isa = detected_isa();
};

class Queue {
 public:
  explicit Queue(const QueueSettings& settings);
  ~Queue();
  Queue(const Queue&) = delete;
  Queue& operator=(const Queue&) = delete;

  int threads() const { return threads_; }
  Isa isa() const { return isa_; }
  MatmulCache& matmul_cache() { return *matmul_cache_; }

  /// body(begin, end) over a static cut of 0..count into at most threads() runs of whole grains. The cut never changes
  /// a result: a kernel that sums over items cuts them into fixed chunks first.
  template <typename Body>
  void parallel_for(std::int64_t count, std::int64_t grain, const Body& body);

 private:
  int threads_;
  Isa isa_;
  std::unique_ptr<MatmulCache> matmul_cache_;
};

template <typename Body>
void Queue::parallel_for(std::int64_t count, std::int64_t grain, const Body& body) {
  const std::int64_t grains = (count + grain - 1) / grain;
  const auto runs = static_cast<int>(grains < threads_ ? grains : threads_);
  if (runs <= 1) {
    if (count > 0) body(std::int64_t{0}, count);
    return;
  }
#pragma omp parallel for schedule(static, 1) num_threads(threads_)
  for (int run = 0; run < runs; ++run) {
    const std::int64_t begin = grains * run / runs * grain;
    const std::int64_t end = grains * (run + 1) / runs * grain;
    body(begin, end < count ? end : count);
  }
}

}  // namespace stoa::trainer::cpu

#include "stoa/trainer/kernels/cpu_queue.h"

#include <fmt/ranges.h>
#include <omp.h>
#include <sched.h>

#include <cerrno>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/trainer/kernels/matmul_cache.h"

namespace stoa::trainer::cpu {
namespace {

/// 0 or an errno.
int pin_this_thread(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(processor), &set);
  return sched_setaffinity(0, sizeof set, &set) == 0 ? 0 : errno;
}

void pin_threads(const std::vector<int>& processors, int threads) {
  int failed = 0;  // nothing may be thrown out of a parallel region
#pragma omp parallel num_threads(threads) if (threads > 1) reduction(max : failed)
  failed = pin_this_thread(processors[static_cast<std::size_t>(omp_get_thread_num())]);
  if (failed != 0)
    throw ResourceError("cannot pin {} threads to processors {}: {}", threads, fmt::join(processors, ","),
                        errno_message(failed));
}

int checked_threads(const QueueSettings& settings) {
  if (settings.threads < 1) throw ConfigError("a CPU queue needs at least one thread, not {}", settings.threads);
  if (!settings.pinned.empty() && settings.pinned.size() < static_cast<std::size_t>(settings.threads))
    throw ConfigError("{} threads cannot be pinned to {} processors", settings.threads, settings.pinned.size());
  return settings.threads;
}

}  // namespace

Queue::Queue(const QueueSettings& settings)
    : threads_(checked_threads(settings)),
      isa_(settings.isa),
      matmul_cache_(std::make_unique<MatmulCache>(isa_, threads_)) {
  omp_set_dynamic(0);
  omp_set_num_threads(threads_);
  omp_set_max_active_levels(1);
  if (!settings.pinned.empty()) pin_threads({settings.pinned.begin(), settings.pinned.end()}, threads_);
}

Queue::~Queue() = default;

}  // namespace stoa::trainer::cpu

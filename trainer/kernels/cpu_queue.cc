#include "stoa/trainer/kernels/cpu_queue.h"

#include <omp.h>
#include <sched.h>

#include <vector>

#include "stoa/base/error.h"
#include "stoa/trainer/kernels/matmul_cache.h"

namespace stoa::trainer::cpu {
namespace {

void pin_this_thread(int processor) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(processor), &set);
  sched_setaffinity(0, sizeof set, &set);
}

}  // namespace

Queue::Queue(const QueueSettings& settings)
    : threads_(settings.threads), isa_(settings.isa), matmul_cache_(std::make_unique<MatmulCache>(isa_, threads_)) {
  if (threads_ < 1) throw ConfigError("a CPU queue needs at least one thread, not {}", threads_);
  if (!settings.pinned.empty() && settings.pinned.size() < static_cast<std::size_t>(threads_))
    throw ConfigError("{} threads cannot be pinned to {} processors", threads_, settings.pinned.size());
  omp_set_dynamic(0);
  omp_set_num_threads(threads_);
  if (settings.pinned.empty()) return;
  const std::vector<int> processors(settings.pinned.begin(), settings.pinned.end());
#pragma omp parallel num_threads(threads_)
  pin_this_thread(processors[static_cast<std::size_t>(omp_get_thread_num())]);
}

Queue::~Queue() = default;

}  // namespace stoa::trainer::cpu

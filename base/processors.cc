#include "stoa/base/processors.h"

#include <fmt/ranges.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "stoa/base/error.h"

namespace stoa {
namespace {

// A set that holds more processors than the 1024 of a plain cpu_set_t.
class ProcessorSet {
 public:
  explicit ProcessorSet(int processors)
      : processors_(processors),
        size_(CPU_ALLOC_SIZE(processors)),
        set_(CPU_ALLOC(processors), [](cpu_set_t* set) { CPU_FREE(set); }) {
    CPU_ZERO_S(size_, set_.get());
  }

  int processors() const { return processors_; }
  std::size_t size_bytes() const { return size_; }
  cpu_set_t* get() const { return set_.get(); }

 private:
  int processors_;
  std::size_t size_;
  std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set_;
};

constexpr int kMostProcessors = 1 << 20;

}  // namespace

int threads_or_all(int asked) { return asked > 0 ? asked : static_cast<int>(allowed_processors().size()); }

std::vector<int> allowed_processors() {
  // The system refuses a set smaller than its own; how large that is only a try tells.
  for (int processors = 1024; processors <= kMostProcessors; processors *= 2) {
    const ProcessorSet set(processors);
    if (sched_getaffinity(0, set.size_bytes(), set.get()) != 0) {
      if (errno == EINVAL) continue;
      break;
    }
    std::vector<int> allowed;
    for (int processor = 0; processor < set.processors(); ++processor)
      if (CPU_ISSET_S(static_cast<std::size_t>(processor), set.size_bytes(), set.get())) allowed.push_back(processor);
    return allowed;
  }
  throw ResourceError("the system does not tell which processors this process may use: {}", errno_message(errno));
}

std::vector<int> share_of_processors(const std::vector<int>& allowed, int sharers, int index) {
  const int count = static_cast<int>(allowed.size());
  if (sharers > count) return {allowed[static_cast<std::size_t>(index % count)]};
  const int begin = index * (count / sharers) + std::min(index, count % sharers);
  const int end = begin + count / sharers + (index < count % sharers ? 1 : 0);
  return {allowed.begin() + begin, allowed.begin() + end};
}

void stay_on_processors(const std::vector<int>& processors) {
  if (processors.empty()) throw InternalError("a thread cannot stay on no processor at all");
  const ProcessorSet set(*std::max_element(processors.begin(), processors.end()) + 1);
  for (const int processor : processors) CPU_SET_S(static_cast<std::size_t>(processor), set.size_bytes(), set.get());
  if (sched_setaffinity(0, set.size_bytes(), set.get()) != 0)
    throw ResourceError("this process may not run on processors {}: {}", fmt::join(processors, ","),
                        errno_message(errno));
}

}  // namespace stoa

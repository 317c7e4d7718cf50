#include "stoa/trainer/kernels/cpu_queue.h"

#include <gmock/gmock.h>
#include <sched.h>

#include <cstdlib>
#include <thread>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/kernel_cases.h"
#include "stoa/trainer/kernels/peak.h"

namespace stoa::trainer {
namespace {

using ::testing::HasSubstr;

/// Sets STOA_CPU_ISA for one scope.
class ForcedIsa {
 public:
  explicit ForcedIsa(const char* value) {
    const char* before = std::getenv("STOA_CPU_ISA");
    if (before != nullptr) before_ = before;
    ::setenv("STOA_CPU_ISA", value, 1);
  }
  ~ForcedIsa() { before_.empty() ? ::unsetenv("STOA_CPU_ISA") : ::setenv("STOA_CPU_ISA", before_.c_str(), 1); }

 private:
  std::string before_;
};

TEST(CpuIsa, TheEnvironmentLowersIt) {
  const ForcedIsa forced("plain");
  EXPECT_EQ(cpu::detected_isa(), cpu::Isa::kPlain);
}

TEST(CpuIsa, AWrongNameIsRefusedWithTheValidOnes) {
  const ForcedIsa forced("avx1024");
  try {
    cpu::detected_isa();
    FAIL() << "accepted";
  } catch (const ConfigError& error) {
    EXPECT_THAT(error.what(), HasSubstr("STOA_CPU_ISA=avx1024"));
    EXPECT_THAT(error.what(), HasSubstr("plain, avx2, avx512 or avx512_bf16"));
  }
}

TEST(CpuIsa, EachOfThisMachinesNamesLeadsBackToIt) {
  for (const cpu::Isa isa : machine_isas()) {
    const ForcedIsa forced(std::string(cpu::isa_name(isa)).c_str());
    EXPECT_EQ(cpu::detected_isa(), isa);
  }
}

TEST(CpuQueue, RefusesNoThreadsAndTooFewProcessors) {
  EXPECT_THROW(cpu::Queue({.threads = 0, .pinned = {}, .isa = cpu::Isa::kPlain}), ConfigError);
  const std::vector<int> one_processor = {0};
  EXPECT_THROW(cpu::Queue({.threads = 2, .pinned = one_processor, .isa = cpu::Isa::kPlain}), ConfigError);
}

TEST(CpuQueue, AProcessorThatIsNotThereIsNamed) {
  const std::vector<int> absent = {CPU_SETSIZE - 1};
  try {
    cpu::Queue queue({.threads = 1, .pinned = absent, .isa = cpu::Isa::kPlain});
    FAIL() << "accepted";
  } catch (const ResourceError& error) {
    EXPECT_THAT(error.what(), HasSubstr(std::to_string(CPU_SETSIZE - 1)));
  }
}

TEST(CpuQueue, EveryThreadStaysOnItsProcessor) {
  std::thread([] {  // on a thread of its own: the caller is pinned too
    cpu_set_t allowed;
    ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
    std::vector<int> processors;
    for (int i = 0; i < CPU_SETSIZE && processors.size() < 2; ++i)
      if (CPU_ISSET(static_cast<std::size_t>(i), &allowed)) processors.push_back(i);
    const auto threads = static_cast<int>(processors.size());
    cpu::Queue queue({.threads = threads, .pinned = processors, .isa = cpu::Isa::kPlain});
    std::vector<int> seen(processors.size(), -1);
    queue.parallel_for(threads, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) seen[static_cast<std::size_t>(i)] = sched_getcpu();
    });
    EXPECT_EQ(seen, processors);
  })
      .join();
}

TEST(CpuQueue, EveryItemIsVisitedOnceInWholeGrains) {
  for (const int threads : {1, 2, 5}) {
    cpu::Queue queue({.threads = threads, .pinned = {}, .isa = cpu::Isa::kPlain});
    for (const std::int64_t count : {0, 1, 33, 65, 257}) {
      for (const std::int64_t grain : {1, 4, 300}) {
        std::vector<int> visits(static_cast<std::size_t>(count));
        std::vector<int> broken(static_cast<std::size_t>(count) + 1);
        queue.parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
          broken[static_cast<std::size_t>(begin)] = begin % grain != 0 ? 1 : 0;
          for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
        });
        EXPECT_EQ(visits, std::vector<int>(static_cast<std::size_t>(count), 1));
        EXPECT_EQ(broken, std::vector<int>(broken.size(), 0));
      }
    }
  }
}

// No figure is asserted, only that one was measured: a busy machine may give any.
TEST(Peak, IsMeasuredOnEveryInstructionSet) {
  on_each_isa(2, [](cpu::Queue& queue) {
    EXPECT_GT(measure_peak_gflops(queue, PeakKind::kFp32), 0);
    EXPECT_GT(measure_peak_gflops(queue, PeakKind::kBf16), 0);
  });
}

}  // namespace
}  // namespace stoa::trainer

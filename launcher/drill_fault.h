#pragma once
/// The fault of a drill: waits until the run has come to a step, then does to it, once, what a cluster would.
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <thread>

namespace stoa::launcher {

enum class DrillFault {
  kPreempt,   ///< SIGTERM to this process, as Slurm sends it
  kTimeout,   ///< the warning signal
  kNodeLoss,  ///< SIGKILL to the ranks of the second half, as when their node loses its power
};

struct Drill {
  DrillFault fault = DrillFault::kPreempt;
  std::int64_t at_step = 1;
};

class DrillTrigger {
 public:
  /// Starts to watch the metrics of the run.
  DrillTrigger(const Drill& drill, std::filesystem::path metrics_file);
  ~DrillTrigger();
  DrillTrigger(const DrillTrigger&) = delete;
  DrillTrigger& operator=(const DrillTrigger&) = delete;

 private:
  void watch();
  void strike() const;

  Drill drill_;
  std::filesystem::path metrics_file_;
  std::atomic<bool> ending_{false};
  std::thread thread_;
};

}  // namespace stoa::launcher

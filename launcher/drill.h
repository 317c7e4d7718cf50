#pragma once
/// `stoa drill`: a rehearsal on this machine of what will happen to the run in a queue. The experiment trains a few
/// steps twice, once in peace and once through the fault, by the code that runs it on a cluster, and both must have the
/// same losses to the last bit.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "stoa/base/clock.h"
#include "stoa/launcher/local_run.h"

namespace stoa::launcher {

struct DrillRequest {
  std::filesystem::path experiment_file;
  std::vector<std::string> overrides;
  DrillFault fault = DrillFault::kPreempt;
  std::int64_t steps = 40;
  bool keep = false;  ///< the two runs stay: RUN-drill/peace and RUN-drill/fault
};

/// Returns 0, or the code of a numeric error where the losses differ; throws what the training says. Call from the main
/// thread.
int drill(const DrillRequest& request, std::FILE* out, std::FILE* progress, const Clock& clock);

}  // namespace stoa::launcher

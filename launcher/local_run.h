#pragma once
/// `stoa run`: one experiment on this machine, through mpirun, from its YAML file to a finished or saved run. The same
/// command again goes on where the last one stopped.
#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "stoa/base/clock.h"
#include "stoa/launcher/training_process.h"

namespace stoa::launcher {

struct RunRequest {
  std::filesystem::path experiment_file;
  std::vector<std::string> overrides;
  std::function<ProcessSettings(const RankCommand&)> ranks =
      rank_command;  ///< what starts them; tests put a script here
};

/// Results go to `out`, progress to `progress`. Returns 0 (finished), 75 (saved on request) or 128 + the signal that
/// stopped it at once; throws an error of the kind that the training reported. Call from the main thread.
int run_locally(const RunRequest& request, std::FILE* out, std::FILE* progress, const Clock& clock);

}  // namespace stoa::launcher

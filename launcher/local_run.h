#pragma once
/// `stoa run`: one experiment on this machine, through mpirun, from its YAML file to a finished or saved run. The same
/// command again goes on where the last one stopped.
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "stoa/base/clock.h"
#include "stoa/base/log.h"
#include "stoa/launcher/drill_fault.h"
#include "stoa/launcher/local_allocation.h"
#include "stoa/launcher/run_directory.h"

namespace stoa::launcher {

struct RunRequest {
  std::filesystem::path experiment_file;
  std::vector<std::string> overrides;
  std::optional<double> limit_s;  ///< rehearses a job's time limit: the run saves before it and goes on as a next job
  double warning_s = 10;          ///< so long before it
  std::optional<Drill> drill;     ///< a fault, after which the run goes on by itself
  LocalAllocation::Ranks ranks = rank_command;  ///< what starts them; tests put a script here
};

/// Results go to `out`, progress to `progress`. Returns 0 (finished), 75 (saved on request) or 128 + the signal that
/// stopped it at once; throws an error of the kind that the training reported. Call from the main thread.
int run_locally(const RunRequest& request, std::FILE* out, std::FILE* progress, const Clock& clock);

/// Writes RUN/report.html; with `is_finished`, the loss and the first facts to `out`. What goes wrong is a warning: it
/// takes nothing away from a run that ended well.
void write_report(const RunDirectory& run, bool is_finished, std::FILE* out, Log& log);

}  // namespace stoa::launcher

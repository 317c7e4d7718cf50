#pragma once
/// `stoa submit` and `stoa render`: an experiment as a job of Slurm's.
#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/clock.h"
#include "stoa/cluster/slurm_request.h"
#include "stoa/launcher/run_preparation.h"

namespace stoa::launcher {

/// The batch script of every run: it starts `stoa supervise` with the run's own program.
std::string_view batch_script();

/// What the run asks Slurm for: its `cluster:` section over the machine's `slurm:`. ConfigError where the ranks do not
/// come out as nodes x tasks_per_node, or Slurm's settings contradict the machine.
cluster::BatchJob batch_job(const PreparedRun& run);

struct SubmitRequest {
  std::filesystem::path experiment_file;
  std::vector<std::string> overrides;
  enum class Form {
    kSubmit,
    kDryRun,  ///< prepares the run's directory and prints the line
    kRender,  ///< prepares it and prints a script
  } form = Form::kSubmit;
};

/// Prepares the run's directory (spec, machine, program, batch script, data) and submits it. Returns 0. UsageError
/// where a job of this run waits or runs already. Call from the folder that relative paths of the experiment mean: jobs
/// work there.
int submit(const SubmitRequest& request, std::FILE* out, std::FILE* progress, const Clock& clock);

/// Submits a run that stopped again, as its directory has it. For `stoa resume`.
int submit_again(const std::filesystem::path& run_directory, std::FILE* out, std::FILE* progress, const Clock& clock);

}  // namespace stoa::launcher

#pragma once
/// Composes one rank of stoa-train: reads the spec, builds queue, data, model, checkpoints, meter and metrics, runs the
/// loop and writes the attempt's outcome.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "stoa/base/log.h"
#include "stoa/parallel/communicator.h"
#include "stoa/trainer/loop/loop_progress.h"

namespace stoa::launcher {

struct RankOptions {
  std::filesystem::path spec;  ///< RUN/spec.yaml; its folder is the run directory
  std::string attempt = "1";
  std::vector<std::string> overrides;  ///< of the spec: the layout of this attempt
  std::string preflight;               ///< "node" or "links": check that instead of training
};

/// Collective over all ranks of the job. Returns after the last barrier of an orderly end; throws stoa::Error
/// otherwise, after rank 0 wrote outcome.json where it could.
void train_rank(const RankOptions& options, parallel::Communicator& ranks, Log& log,
                const std::function<bool()>& stop_requested, trainer::LoopProgress& progress);

/// outcome.json of an attempt that failed: kind and message of the error.
void write_failure(const RankOptions& options, int rank, const std::exception& failure, Log& log);

}  // namespace stoa::launcher

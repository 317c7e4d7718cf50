#pragma once
/// What `stoa checkpoint list | show | verify | diff | prune | copy | index` do, after the words are parsed. Each
/// prints to `out` and returns the exit code; errors are thrown.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>

#include "stoa/base/log.h"
#include "stoa/launcher/text_or_json.h"

namespace stoa::launcher {

/// Which checkpoint: a step-XXXXXXXX folder, or a run's directory or its checkpoints/ with or without a step.
struct CheckpointWords {
  std::filesystem::path path;
  std::optional<std::int64_t> step;  ///< else the newest one that manifest and sizes say is whole
};

int run_checkpoint_list(const std::filesystem::path& run, TextOrJson format, std::FILE* out);

struct ShowCheckpointOptions {
  CheckpointWords checkpoint;
  bool tensors = false;  ///< a line a tensor too
  TextOrJson format = TextOrJson::kText;
};
int run_checkpoint_show(const ShowCheckpointOptions& options, std::FILE* out);

struct VerifyCheckpointOptions {
  CheckpointWords checkpoint;
  int threads = 0;
  TextOrJson format = TextOrJson::kText;
};
/// CheckpointError's code where something is wrong, which is told like a result.
int run_checkpoint_verify(const VerifyCheckpointOptions& options, std::FILE* out, Log& log);

struct DiffCheckpointOptions {
  CheckpointWords first, second;
  bool all = false;  ///< tensors that are the same too
  TextOrJson format = TextOrJson::kText;
};
/// NumericError's code where they differ.
int run_checkpoint_diff(const DiffCheckpointOptions& options, std::FILE* out, Log& log);

enum class Pruning { kDone, kOnlyTold };

/// Rules that are not given are those of the run's experiment.
struct PruneOptions {
  std::filesystem::path run;
  std::optional<std::int64_t> keep_last, keep_every_steps, keep_best;
  Pruning pruning = Pruning::kDone;
};
int run_checkpoint_prune(const PruneOptions& options, std::FILE* out);

int run_checkpoint_copy(const CheckpointWords& checkpoint, const std::filesystem::path& to, std::FILE* out, Log& log);
int run_checkpoint_index(const CheckpointWords& checkpoint, std::FILE* out);

}  // namespace stoa::launcher

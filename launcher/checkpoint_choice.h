#pragma once
/// Which checkpoints a command may work with, and whether one is of the experiment's model and tokenizer.
#include <filesystem>
#include <string>
#include <vector>

#include "stoa/base/json.h"
#include "stoa/launcher/experiment.h"
#include "stoa/trainer/data/tokenizer.h"

namespace stoa::launcher {

struct ModelChoice {
  std::filesystem::path experiment_file;
  std::vector<std::string> overrides;
  std::filesystem::path checkpoint;  ///< a step-XXXXXXXX folder; empty: the newest whole one of the run
  int threads = 0;                   ///< 0: every processor this process may use
};

/// Folders to try one after the other: the chosen one, or the run's from the newest on, or where the run has none yet
/// the one it will start from. CheckpointError where there is none.
std::vector<std::filesystem::path> checkpoints_to_try(const Experiment& experiment, const ModelChoice& choice);

/// data.tokenizer. DataError where it is not there or has more entries than the model.
trainer::Tokenizer load_tokenizer(const Experiment& experiment);

/// A model that meets another tokenizer's numbers writes and judges nonsense without any error: DataError where the
/// checkpoint's state names another one.
void require_tokenizer(const Json& state, const trainer::Tokenizer& tokenizer, const std::filesystem::path& folder,
                       const std::string& tokenizer_file);

}  // namespace stoa::launcher

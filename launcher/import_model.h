#pragma once
/// `stoa import`: a model of the transformers library as a checkpoint of Stoa's and an experiment that trains it on.
#include <cstdio>
#include <filesystem>
#include <string>

#include "stoa/base/clock.h"
#include "stoa/base/log.h"

namespace stoa::launcher {

struct ImportOptions {
  std::filesystem::path from;  ///< a folder with config.json, tokenizer.json and safetensors
  std::filesystem::path out;   ///< must not exist; appears whole
  std::string name;            ///< of the experiment; empty: the name of `out`
};

/// OUT/checkpoint/step-00000000 (fp32 parameters without moments), OUT/tokenizer.json, OUT/experiment.yaml. DataError
/// where the model is not one that Stoa trains, its files do not say the same, or the tokenizer cannot be read.
int run_import(const ImportOptions& options, std::FILE* out, Log& log, const Clock& clock);

}  // namespace stoa::launcher

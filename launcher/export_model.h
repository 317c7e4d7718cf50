#pragma once
/// `stoa export`: a checkpoint as a folder that the transformers library of Hugging Face opens.
#include <cstdint>
#include <cstdio>
#include <filesystem>

#include "stoa/base/clock.h"
#include "stoa/base/log.h"
#include "stoa/checkpoint/safetensors_values.h"
#include "stoa/launcher/checkpoint_choice.h"

namespace stoa::launcher {

struct ExportOptions {
  ModelChoice model;
  std::filesystem::path out;  ///< must not exist; appears whole
  checkpoint::FloatType dtype = checkpoint::FloatType::kF32;
  std::int64_t shard_bytes = 5'000'000'000;
};

/// Weights, config.json, tokenizer.json, tokenizer_config.json, generation_config.json and README.md, from the newest
/// checkpoint whose every byte is right. Says on `out` what was made. ConfigError naming the setting where the
/// architecture of transformers cannot express the model.
int run_export(const ExportOptions& options, std::FILE* out, Log& log, const Clock& clock);

}  // namespace stoa::launcher

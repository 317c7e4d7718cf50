#pragma once
/// A checkpoint's parameters as safetensors files, by pieces: never the whole model in memory.
#include <cstdint>
#include <filesystem>
#include <functional>

#include "stoa/checkpoint/checkpoint_reader.h"
#include "stoa/checkpoint/safetensors_values.h"
#include "stoa/trainer/settings.h"

namespace stoa::trainer {

struct WeightsOut {
  std::filesystem::path folder;  ///< that exists and holds none of these files
  checkpoint::FloatType dtype = checkpoint::FloatType::kF32;
  std::int64_t shard_bytes = 5'000'000'000;       ///< of one file at most; a larger tensor has a file of its own
  std::function<void(double fraction)> progress;  ///< may be empty
};

struct WeightsWritten {
  std::int64_t bytes = 0;  ///< of the tensors
  std::int64_t files = 0;
};

/// Writes and fsyncs model.safetensors, or the files and their index. Values are verified as they are read
/// (CheckpointError). Reads and writes at the same time, from two threads. REQUIRES: check_expressible found nothing.
WeightsWritten write_weights(checkpoint::CheckpointReader& checkpoint, const ModelSettings& resolved_model,
                             const WeightsOut& out);

}  // namespace stoa::trainer

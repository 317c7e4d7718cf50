#pragma once
/// A checkpoint written by one process that never holds the whole: for converting a model into one.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>

#include "stoa/base/log.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/checkpoint/shard_writer.h"

namespace stoa::checkpoint {

/// Publishes DIRECTORY/step-XXXXXXXX with one shard that holds the pieces, which tile their tensors (InternalError).
/// The same guarantees as CheckpointStore::save; an error, also one that `values` throws, leaves nothing behind.
void write_streamed_checkpoint(const std::filesystem::path& directory, const CheckpointState& state,
                               std::span<const PieceToProduce> pieces, Log& log);

}  // namespace stoa::checkpoint

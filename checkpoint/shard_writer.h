#pragma once
/// Writes one rank's shard. No collectives here.
#include <filesystem>
#include <span>

#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/tensor_piece.h"

namespace stoa::checkpoint {

/// Creates `path` (which must not exist) with all pieces that are not empty, and fsyncs it. StorageError.
/// REQUIRES: every piece passed tensor_defect and box_defect and has as many values as its box.
ShardRecord write_shard(const std::filesystem::path& path, std::span<const PieceToSave> pieces);

}  // namespace stoa::checkpoint

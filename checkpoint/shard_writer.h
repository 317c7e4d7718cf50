#pragma once
/// Writes one rank's shard. No collectives here.
#include <filesystem>
#include <functional>
#include <span>

#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/tensor_piece.h"

namespace stoa::checkpoint {

/// Creates `path` (which must not exist) with all pieces that are not empty, and fsyncs it. StorageError.
/// REQUIRES: every piece passed tensor_defect and box_defect and has as many values as its box.
ShardRecord write_shard(const std::filesystem::path& path, std::span<const PieceToSave> pieces);

/// A piece whose values are made when they are written, and gone afterwards. `values` is called once, in the order of
/// the pieces, with room for the whole box: keep boxes small.
struct PieceToProduce {
  GlobalTensor tensor;
  parallel::Box box;
  std::function<void(std::span<float> into)> values;
};
/// The same shard from such pieces. Holds the values of one at a time.
ShardRecord write_shard(const std::filesystem::path& path, std::span<const PieceToProduce> pieces);

}  // namespace stoa::checkpoint

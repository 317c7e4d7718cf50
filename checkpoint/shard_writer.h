#pragma once
/// Writes one rank's shard. No collectives here.
#include <filesystem>
#include <functional>
#include <span>
#include <vector>

#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/tensor_piece.h"
#include "stoa/checkpoint/tiling.h"

namespace stoa::checkpoint {

/// Gives the bytes of all pieces, in order: each call the next ones, in one piece and at most kTransferBytes, valid
/// until the next call.
using ByteSource = std::function<std::span<const std::byte>(std::size_t bytes)>;

struct WrittenShard {
  ShardRecord record;
  std::vector<double> squares;  ///< the sum of squares of each piece
};

/// Creates `path` (which must not exist) with all pieces that are not empty, and fsyncs it. StorageError.
/// REQUIRES: every piece passed tensor_defect and box_defect.
WrittenShard write_shard(const std::filesystem::path& path, std::span<const PieceDescription> pieces,
                         const ByteSource& next);

/// The source of pieces in memory, which it borrows.
ByteSource bytes_of(std::span<const PieceToSave> pieces);

/// A piece whose values are made when they are written, and gone afterwards. `values` is called once, in the order of
/// the pieces, with room for the whole box: keep boxes small.
struct PieceToProduce {
  GlobalTensor tensor;
  parallel::Box box;
  std::function<void(std::span<float> into)> values;
};
/// The same shard from such pieces. Holds the values of one at a time.
WrittenShard write_shard(const std::filesystem::path& path, std::span<const PieceToProduce> pieces);

}  // namespace stoa::checkpoint

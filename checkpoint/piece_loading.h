#pragma once
/// Loading of pieces from all shards of a checkpoint, whose cut may be another. No collectives here.
#include <filesystem>
#include <span>
#include <vector>

#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/tensor_piece.h"
#include "stoa/checkpoint/tiling.h"

namespace stoa::checkpoint {

/// Reads what `pieces` share with the shards, each chunk once and verified before its values are kept. CheckpointError
/// where something is wrong, also where the stored pieces of any tensor overlap or leave a gap; StorageError. The
/// tensors were compared with the manifest's before. Returns the sum of squares of what each of `pieces` holds then.
std::vector<double> load_pieces(const std::filesystem::path& folder, const Manifest& manifest,
                                std::span<const PieceToLoad> pieces);

/// CheckpointError where the stored pieces are not the manifest's tensors, each whole and once.
void check_tiling(const std::filesystem::path& folder, const Manifest& manifest,
                  std::span<const PieceDescription> stored);

}  // namespace stoa::checkpoint

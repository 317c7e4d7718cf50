#pragma once
/// checkpoint.h5: every tensor whole, as an HDF5 virtual dataset over the shards, for people and other tools. Stoa
/// never reads it.
#include <filesystem>
#include <span>
#include <string>

#include "stoa/checkpoint/tensor_piece.h"
#include "stoa/checkpoint/tiling.h"

namespace stoa::checkpoint {

/// A piece and the name of the file, beside checkpoint.h5, in which it stands.
struct PieceSource {
  PieceDescription piece;
  std::string file;
};

/// `pieces` tile each of `tensors`; empty ones stand in no file. What no file holds reads as NaN. StorageError.
void write_global_view(const std::filesystem::path& path, std::span<const GlobalTensor> tensors,
                       std::span<const PieceSource> pieces);

}  // namespace stoa::checkpoint

#pragma once
/// Reads one shard by its full path and without HDF5, so that no damage to HDF5's own structures can do harm. No
/// collectives here.
#include <filesystem>
#include <span>
#include <vector>

#include "stoa/base/durable_file.h"
#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/piece_table.h"

namespace stoa::checkpoint {

class ShardReader {
 public:
  /// Opens FOLDER/record.file, compares its size and the digest of its piece table with the manifest's record.
  /// CheckpointError where it is missing or differs, StorageError where it cannot be read.
  ShardReader(const std::filesystem::path& folder, const ShardRecord& record);

  const std::vector<StoredPiece>& pieces() const { return pieces_; }

  /// Copies into `wanted` what stored piece `index` shares with it, and returns the number of elements. Chunks are
  /// verified before their values are kept; a wrong one is a CheckpointError with file, tensor and byte range.
  std::int64_t load(std::size_t index, const PieceToLoad& wanted);
  /// Reads every byte of stored piece `index` and compares its checksums.
  void verify(std::size_t index);

 private:
  std::span<const std::byte> chunk(const StoredPiece& piece, std::int64_t number);
  void read_chunk(const StoredPiece& piece, std::int64_t number, std::span<std::byte> into);

  std::filesystem::path path_;
  FileDescriptor fd_;
  std::vector<StoredPiece> pieces_;
  std::vector<std::byte> buffer_;
  const StoredPiece* buffered_piece_ = nullptr;
  std::int64_t buffered_chunk_ = -1;
};

/// Loads `pieces` from the shards of a checkpoint. CheckpointError where something is wrong, also where the stored
/// pieces of any tensor overlap or leave a gap. The tensors were compared with the manifest's before.
void load_pieces(const std::filesystem::path& folder, const Manifest& manifest, std::span<const PieceToLoad> pieces);

}  // namespace stoa::checkpoint

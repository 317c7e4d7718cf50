#pragma once
/// Reads one shard by its full path and without HDF5, so that no damage to HDF5's own structures can do harm. No
/// collectives here.
#include <filesystem>
#include <span>
#include <vector>

#include "stoa/checkpoint/chunk_stream.h"
#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/piece_table.h"
#include "stoa/checkpoint/shard_input.h"

namespace stoa::checkpoint {

ChunkPlace chunk_place(const StoredPiece& piece, std::int64_t number);

class ShardReader {
 public:
  /// Opens FOLDER/record.file, compares its size and the digest of its piece table with the manifest's record.
  /// CheckpointError where it is missing or differs, StorageError where it cannot be read.
  ShardReader(const std::filesystem::path& folder, const ShardRecord& record);

  const std::filesystem::path& path() const { return input_.path(); }
  std::int64_t bytes() const { return bytes_; }
  const std::vector<StoredPiece>& pieces() const { return pieces_; }

  /// Copies into `wanted` what stored piece `index` shares with it, and returns the number of elements. Chunks are
  /// verified before their values are kept; a wrong one is a CheckpointError with file, tensor and byte range.
  std::int64_t load(std::size_t index, const PieceToLoad& wanted);
  /// CheckpointError with file, tensor and byte range where `bytes` are not those of that chunk of stored piece
  /// `index`.
  void check_chunk(std::size_t index, std::int64_t number, std::span<const std::byte> bytes) const;
  /// Reads every byte of stored piece `index` and compares its checksums.
  void verify(std::size_t index);

 private:
  /// The verified bytes of a chunk; valid until another one is asked for.
  std::span<const std::byte> chunk(std::size_t index, std::int64_t number);

  ShardInput input_;
  std::int64_t bytes_;
  std::vector<StoredPiece> pieces_;
  std::size_t held_piece_ = 0;
  std::int64_t held_number_ = -1;
  std::span<const std::byte> held_;
};

}  // namespace stoa::checkpoint

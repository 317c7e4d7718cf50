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

/// Chunks of a piece that are read at once: kTransferBytes at most.
struct ChunkRange {
  std::int64_t first = 0, count = 0;  ///< numbers of chunks
  bool operator==(const ChunkRange&) const = default;
};
/// Those around byte `at` of a piece. A piece is the sequence of the ranges at the multiples of kTransferBytes.
ChunkRange range_at(const StoredPiece& piece, std::int64_t at);
ChunkPlace place_of(const StoredPiece& piece, ChunkRange range);

class ShardReader {
 public:
  /// Opens FOLDER/record.file, compares its size and the digest of its piece table with the manifest's record.
  /// CheckpointError where it is missing or differs, StorageError where it cannot be read.
  ShardReader(const std::filesystem::path& folder, const ShardRecord& record);

  const std::filesystem::path& path() const { return input_.path(); }
  std::int64_t bytes() const { return record_.bytes; }
  const std::vector<StoredPiece>& pieces() const { return pieces_; }

  /// Copies into `wanted` what stored piece `index` shares with it, and returns the number of elements. Chunks are
  /// verified before their values are kept; a wrong one is a CheckpointError with file, tensor and byte range.
  std::int64_t load(std::size_t index, const PieceToLoad& wanted);
  /// CheckpointError with file, tensor and byte range of a chunk where `bytes` are not those of that range of stored
  /// piece `index`.
  void check(std::size_t index, ChunkRange range, std::span<const std::byte> bytes) const;
  /// CheckpointError where the bytes between the pieces, HDF5's own, are not those that were written. Loading does not
  /// ask: it needs none of them.
  void check_rest() const;
  /// Reads every byte of stored piece `index` and compares its checksums.
  void verify(std::size_t index);

 private:
  void check_chunk(std::size_t index, std::int64_t number, std::uint64_t digest) const;
  /// The verified bytes of a range; valid until another one is asked for.
  std::span<const std::byte> read(std::size_t index, ChunkRange range);

  ShardInput input_;
  ShardRecord record_;
  std::vector<StoredPiece> pieces_;
  std::size_t held_piece_ = 0;
  ChunkRange held_range_;
  std::span<const std::byte> held_;
};

}  // namespace stoa::checkpoint

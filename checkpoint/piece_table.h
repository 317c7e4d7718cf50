#pragma once
/// The piece table of a shard: which box of which tensor stands at which byte, and a checksum per chunk of its bytes.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/checkpoint/tensor_piece.h"

namespace stoa::checkpoint {

/// The most that is read or written at once.
inline constexpr std::int64_t kTransferBytes = std::int64_t{4} << 20;
/// A checksum covers this many bytes of a piece; the last chunk of a piece may be shorter. What another layout needs of
/// a piece is read in whole chunks.
inline constexpr std::int64_t kChunkBytes = std::int64_t{1} << 20;
/// Shards with chunks of another power of two are read from here to kTransferBytes.
inline constexpr std::int64_t kLeastChunkBytes = std::int64_t{64} << 10;

struct StoredPiece {
  GlobalTensor tensor;
  parallel::Box box;
  std::int64_t offset = 0;  ///< of the first byte in the shard's file
  std::int64_t bytes = 0;
  std::vector<std::uint64_t> chunk_checksums;  ///< xxh3-64
  std::int64_t chunk_bytes = kChunkBytes;      ///< the same in the whole shard
};

/// How many chunks a piece of so many bytes has.
std::int64_t chunks_of(std::int64_t bytes, std::int64_t chunk_bytes);

/// Its length depends on everything but the values of the checksums, so a writer can lay the file out before it writes
/// data.
std::string format_piece_table(const std::vector<StoredPiece>& pieces);

/// The pieces of a shard of `shard_bytes` bytes, or a DataError. Never allocates more than a few times the text's own
/// size.
std::vector<StoredPiece> parse_piece_table(std::string_view text, std::int64_t shard_bytes, std::string_view place);

}  // namespace stoa::checkpoint

#include "stoa/checkpoint/shard_rest.h"

#include <algorithm>
#include <vector>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"

namespace stoa::checkpoint {

std::string rest_digest(const ShardInput& shard, const ShardRecord& record, std::span<const StoredPiece> pieces) {
  std::vector<ChunkPlace> known{{record.table_offset, record.table_bytes}, {record.bytes, 0}};
  for (const StoredPiece& piece : pieces) known.push_back({piece.offset, piece.bytes});
  std::ranges::sort(known, {}, &ChunkPlace::offset);
  Xxh3Stream digest;
  std::vector<std::byte> block;
  std::int64_t at = 0;
  for (const ChunkPlace& place : known) {
    if (place.offset < at)
      throw CheckpointError("{}: two pieces stand at byte {}", shard.path().string(), place.offset);
    while (at < place.offset) {
      block.resize(static_cast<std::size_t>(std::min(kTransferBytes, place.offset - at)));
      shard.read_at(at, block);
      digest.update(block);
      at += static_cast<std::int64_t>(block.size());
    }
    at = place.offset + place.bytes;
  }
  return digest.digest_128_hex();
}

}  // namespace stoa::checkpoint

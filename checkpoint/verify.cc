#include "stoa/checkpoint/verify.h"

#include "stoa/checkpoint/piece_loading.h"
#include "stoa/checkpoint/shard_reader.h"

namespace stoa::checkpoint {

Manifest verify_checkpoint(const std::filesystem::path& folder) {
  Manifest manifest = read_manifest(folder);
  load_pieces(folder, manifest, {});
  for (const ShardRecord& record : manifest.shards) {
    ShardReader shard(folder, record);
    for (std::size_t i = 0; i < shard.pieces().size(); ++i) shard.verify(i);
  }
  return manifest;
}

}  // namespace stoa::checkpoint

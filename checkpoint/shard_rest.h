#pragma once
/// The bytes of a shard that are neither values nor piece table: HDF5's structures, and nothing between.
#include <span>
#include <string>

#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/piece_table.h"
#include "stoa/checkpoint/shard_input.h"

namespace stoa::checkpoint {

/// XXH3-128 of them, in their order. Errors as ShardInput's; CheckpointError where pieces or table overlap.
std::string rest_digest(const ShardInput& shard, const ShardRecord& record, std::span<const StoredPiece> pieces);

}  // namespace stoa::checkpoint

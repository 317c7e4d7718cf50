#include "stoa/checkpoint/shard_reader.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/box_copy.h"
#include "stoa/checkpoint/tensor_json.h"
#include "stoa/checkpoint/tiling.h"

namespace stoa::checkpoint {
namespace {

constexpr std::int64_t kElementBytes = sizeof(float);

std::int64_t chunk_size(const StoredPiece& piece, std::int64_t number) {
  return std::min(kChunkBytes, piece.bytes - number * kChunkBytes);
}

}  // namespace

ShardReader::ShardReader(const std::filesystem::path& folder, const ShardRecord& record)
    : input_(folder / record.file, record.bytes) {
  const std::string path = input_.path().string();
  std::string table(static_cast<std::size_t>(record.table_bytes), '\0');
  input_.read_at(record.table_offset, std::as_writable_bytes(std::span(table)));
  if (const std::string digest = xxh3_128_hex(std::as_bytes(std::span(table))); digest != record.table_digest)
    throw CheckpointError("{}: piece table, bytes {}..{}: its digest is {}, but the manifest says {}", path,
                          record.table_offset, record.table_offset + record.table_bytes, digest, record.table_digest);
  try {
    pieces_ = parse_piece_table(table, record.bytes, path + ": piece table");
  } catch (const DataError& failure) {
    throw CheckpointError("{}", failure.what());
  }
}

std::span<const std::byte> ShardReader::chunk(const StoredPiece& piece, std::int64_t number) {
  if (held_piece_ == &piece && held_number_ == number) return held_;
  held_piece_ = nullptr;
  const std::int64_t offset = piece.offset + number * kChunkBytes;
  held_ = input_.read_chunk(offset, chunk_size(piece, number));
  const std::uint64_t stated = piece.chunk_checksums[static_cast<std::size_t>(number)];
  if (const std::uint64_t found = xxh3_64(held_); found != stated)
    throw CheckpointError("{}: tensor {}, bytes {}..{}: the checksum is {}, but the piece table says {}",
                          input_.path().string(), piece.tensor.name, offset,
                          offset + static_cast<std::int64_t>(held_.size()), hex64(found), hex64(stated));
  held_piece_ = &piece;
  held_number_ = number;
  return held_;
}

std::int64_t ShardReader::load(std::size_t index, const PieceToLoad& wanted) {
  const StoredPiece& piece = pieces_[index];
  const auto shared = parallel::intersect(piece.box, wanted.box);
  if (!shared || shared->elements() == 0) return 0;
  for (RunWalk walk(*shared, piece.box, wanted.box); !walk.done(); walk.next()) {
    const Run run = walk.run();
    std::int64_t from = run.from * kElementBytes;
    auto into = std::as_writable_bytes(
        wanted.values.subspan(static_cast<std::size_t>(run.to), static_cast<std::size_t>(run.count)));
    while (!into.empty()) {
      const std::int64_t number = from / kChunkBytes;
      const std::int64_t skip = from % kChunkBytes;
      const auto bytes = static_cast<std::size_t>(
          std::min<std::int64_t>(static_cast<std::int64_t>(into.size()), chunk_size(piece, number) - skip));
      std::memcpy(into.data(), chunk(piece, number).data() + skip, bytes);
      into = into.subspan(bytes);
      from += static_cast<std::int64_t>(bytes);
    }
  }
  return shared->elements();
}

void ShardReader::verify(std::size_t index) {
  for (std::int64_t number = 0; number < chunks_of(pieces_[index].bytes); ++number) chunk(pieces_[index], number);
}

void load_pieces(const std::filesystem::path& folder, const Manifest& manifest, std::span<const PieceToLoad> pieces) {
  std::multimap<std::string_view, const PieceToLoad*> by_tensor;
  for (const PieceToLoad& piece : pieces) by_tensor.emplace(piece.tensor.name, &piece);
  std::vector<PieceDescription> stored;
  for (const ShardRecord& record : manifest.shards) {
    ShardReader shard(folder, record);
    for (std::size_t i = 0; i < shard.pieces().size(); ++i) {
      stored.push_back({shard.pieces()[i].tensor, shard.pieces()[i].box});
      const auto [first, last] = by_tensor.equal_range(shard.pieces()[i].tensor.name);
      for (auto wanted = first; wanted != last; ++wanted)
        if (wanted->second->tensor.shape == stored.back().tensor.shape) shard.load(i, *wanted->second);
    }
  }
  const Tiling tiling = tile(stored);
  if (!tiling.defect.empty()) throw CheckpointError("{}: {}", folder.string(), tiling.defect);
  const auto same = [](const GlobalTensor& a, const GlobalTensor& b) { return a.name == b.name && a.shape == b.shape; };
  if (!std::equal(tiling.tensors.begin(), tiling.tensors.end(), manifest.tensors.begin(), manifest.tensors.end(), same))
    throw CheckpointError("{}: the shards hold other tensors than the manifest lists", folder.string());
}

}  // namespace stoa::checkpoint

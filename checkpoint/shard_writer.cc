#include "stoa/checkpoint/shard_writer.h"

#include <algorithm>
#include <bit>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/hdf5_shard.h"
#include "stoa/checkpoint/shard_output.h"

namespace stoa::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little, "shards hold little-endian floats, written as they stand");

StoredPiece planned(const GlobalTensor& tensor, const parallel::Box& box) {
  const std::int64_t bytes = box.elements() * static_cast<std::int64_t>(sizeof(float));
  return {tensor, box, 0, bytes, std::vector<std::uint64_t>(chunks_of(bytes))};
}

/// Hashes and writes chunk by chunk, so that the bytes come from memory once.
void write_piece(ShardOutput& output, StoredPiece& stored, std::span<const std::byte> bytes) {
  std::int64_t offset = stored.offset;
  for (std::uint64_t& checksum : stored.chunk_checksums) {
    const auto chunk = bytes.first(std::min<std::size_t>(kChunkBytes, bytes.size()));
    checksum = xxh3_64(chunk);
    output.write_at(offset, chunk);
    offset += kChunkBytes;
    bytes = bytes.subspan(chunk.size());
  }
}

/// `write_pieces` writes each stored piece and fills in its checksums.
template <typename WritePieces>
ShardRecord write_laid_out(const std::filesystem::path& path, std::vector<StoredPiece>& stored,
                           WritePieces write_pieces) {
  const TablePlace place = create_hdf5_shard(path, stored);
  ShardOutput output(path);
  write_pieces(output);
  const std::string table = format_piece_table(stored);
  if (static_cast<std::int64_t>(table.size()) != place.bytes)
    throw InternalError("{}: the piece table grew from {} to {} bytes", path.string(), place.bytes, table.size());
  const auto table_bytes = std::as_bytes(std::span(table));
  for (std::size_t at = 0; at < table_bytes.size(); at += kChunkBytes)
    output.write_at(place.offset + static_cast<std::int64_t>(at),
                    table_bytes.subspan(at, std::min<std::size_t>(kChunkBytes, table_bytes.size() - at)));
  output.sync();
  return {path.filename().string(), output.size(), place.offset, place.bytes, xxh3_128_hex(table_bytes)};
}

}  // namespace

ShardRecord write_shard(const std::filesystem::path& path, std::span<const PieceToSave> pieces) {
  std::vector<StoredPiece> stored;
  for (const PieceToSave& piece : pieces)
    if (!piece.values.empty()) stored.push_back(planned(piece.tensor, piece.box));
  return write_laid_out(path, stored, [&](ShardOutput& output) {
    auto next = stored.begin();
    for (const PieceToSave& piece : pieces)
      if (!piece.values.empty()) write_piece(output, *next++, std::as_bytes(piece.values));
  });
}

ShardRecord write_shard(const std::filesystem::path& path, std::span<const PieceToProduce> pieces) {
  std::vector<StoredPiece> stored;
  std::int64_t largest = 0;
  for (const PieceToProduce& piece : pieces) {
    stored.push_back(planned(piece.tensor, piece.box));
    largest = std::max(largest, piece.box.elements());
  }
  return write_laid_out(path, stored, [&](ShardOutput& output) {
    std::vector<float> values(static_cast<std::size_t>(largest));
    for (std::size_t i = 0; i < pieces.size(); ++i) {
      const auto into = std::span(values).first(static_cast<std::size_t>(pieces[i].box.elements()));
      pieces[i].values(into);
      write_piece(output, stored[i], std::as_bytes(into));
    }
  });
}

}  // namespace stoa::checkpoint

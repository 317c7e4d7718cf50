#include "stoa/checkpoint/shard_writer.h"

#include <algorithm>
#include <bit>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/hdf5_shard.h"
#include "stoa/checkpoint/piece_norms.h"
#include "stoa/checkpoint/shard_output.h"
#include "stoa/checkpoint/shard_rest.h"
#include "stoa/checkpoint/write_beside.h"

namespace stoa::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little, "shards hold little-endian floats, written as they stand");

StoredPiece planned(const GlobalTensor& tensor, const parallel::Box& box) {
  const std::int64_t bytes = box.elements() * static_cast<std::int64_t>(sizeof(float));
  return {tensor, box, 0, bytes, std::vector<std::uint64_t>(chunks_of(bytes, kChunkBytes))};
}

/// Bytes are hashed and summed while they are written. Returns the sum of squares.
double write_piece(WriteBeside& write, StoredPiece& stored, const ByteSource& next) {
  auto checksum = stored.chunk_checksums.begin();
  double squares = 0;
  for (std::int64_t at = 0; at < stored.bytes; at += kTransferBytes) {
    auto rest = next(static_cast<std::size_t>(std::min(kTransferBytes, stored.bytes - at)));
    write.start(stored.offset + at, rest);
    for (; !rest.empty(); ++checksum) {
      const std::size_t chunk = std::min<std::size_t>(kChunkBytes, rest.size());
      *checksum = xxh3_64(rest.first(chunk));
      squares += sum_of_squares({reinterpret_cast<const float*>(rest.data()), chunk / sizeof(float)});
      rest = rest.subspan(chunk);
    }
    write.finish();
  }
  return squares;
}

void write_table(ShardOutput& output, const TablePlace& place, std::span<const std::byte> table) {
  for (std::size_t at = 0; at < table.size(); at += kTransferBytes)
    output.write_at(place.offset + static_cast<std::int64_t>(at),
                    table.subspan(at, std::min<std::size_t>(kTransferBytes, table.size() - at)));
}

}  // namespace

WrittenShard write_shard(const std::filesystem::path& path, std::span<const PieceDescription> pieces,
                         const ByteSource& next) {
  std::vector<StoredPiece> stored;
  for (const PieceDescription& piece : pieces)
    if (piece.box.elements() > 0) stored.push_back(planned(piece.tensor, piece.box));
  const TablePlace place = create_hdf5_shard(path, stored);
  ShardOutput output(path);
  std::vector<double> squares;
  {
    WriteBeside write(output);
    auto piece = stored.begin();
    for (const PieceDescription& given : pieces)
      squares.push_back(given.box.elements() > 0 ? write_piece(write, *piece++, next) : 0);
  }
  const std::string table = format_piece_table(stored);
  if (static_cast<std::int64_t>(table.size()) != place.bytes)
    throw InternalError("{}: the piece table grew from {} to {} bytes", path.string(), place.bytes, table.size());
  const auto table_bytes = std::as_bytes(std::span(table));
  write_table(output, place, table_bytes);
  output.sync();
  ShardRecord record{path.filename().string(), output.size(), place.offset, place.bytes, xxh3_128_hex(table_bytes), ""};
  try {
    record.rest_digest = rest_digest(ShardInput(path, record.bytes), record, stored);
  } catch (const CheckpointError& gone) {
    throw StorageError("{}", gone.what());  // another attempt has removed it: nothing is wrong with a checkpoint
  }
  return {std::move(record), std::move(squares)};
}

ByteSource bytes_of(std::span<const PieceToSave> pieces) {
  return [pieces, rest = std::span<const std::byte>()](std::size_t bytes) mutable {
    for (; rest.empty(); pieces = pieces.subspan(1)) rest = std::as_bytes(pieces.front().values);
    const auto chunk = rest.first(bytes);
    rest = rest.subspan(bytes);
    return chunk;
  };
}

WrittenShard write_shard(const std::filesystem::path& path, std::span<const PieceToProduce> pieces) {
  std::vector<PieceDescription> described;
  std::int64_t largest = 0;
  for (const PieceToProduce& piece : pieces) {
    described.push_back({piece.tensor, piece.box});
    largest = std::max(largest, piece.box.elements());
  }
  std::vector<float> values(static_cast<std::size_t>(largest));
  std::span<const std::byte> rest;
  return write_shard(path, described, [&](std::size_t bytes) {
    for (; rest.empty(); pieces = pieces.subspan(1)) {
      const auto into = std::span(values).first(static_cast<std::size_t>(pieces.front().box.elements()));
      pieces.front().values(into);
      rest = std::as_bytes(into);
    }
    const auto chunk = rest.first(bytes);
    rest = rest.subspan(bytes);
    return chunk;
  });
}

}  // namespace stoa::checkpoint

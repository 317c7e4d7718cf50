#include "stoa/checkpoint/shard_reader.h"

#include <algorithm>
#include <cstring>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/box_copy.h"
#include "stoa/checkpoint/shard_rest.h"

namespace stoa::checkpoint {
namespace {

constexpr std::int64_t kElementBytes = sizeof(float);

}  // namespace

ChunkRange range_at(const StoredPiece& piece, std::int64_t at) {
  const std::int64_t most = kTransferBytes / piece.chunk_bytes;
  const std::int64_t first = at / kTransferBytes * most;
  return {first, std::min(most, chunks_of(piece.bytes, piece.chunk_bytes) - first)};
}

ChunkPlace place_of(const StoredPiece& piece, ChunkRange range) {
  const std::int64_t begin = range.first * piece.chunk_bytes;
  return {piece.offset + begin, std::min(range.count * piece.chunk_bytes, piece.bytes - begin)};
}

ShardReader::ShardReader(const std::filesystem::path& folder, const ShardRecord& record)
    : input_(folder / record.file, record.bytes), record_(record) {
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

void ShardReader::check_rest() const {
  if (record_.rest_digest.empty()) return;
  if (const std::string digest = rest_digest(input_, record_, pieces_); digest != record_.rest_digest)
    throw CheckpointError("{}: the bytes between its pieces: their digest is {}, but the manifest says {}",
                          input_.path().string(), digest, record_.rest_digest);
}

void ShardReader::check_chunk(std::size_t index, std::int64_t number, std::uint64_t digest) const {
  const StoredPiece& piece = pieces_[index];
  const std::uint64_t stated = piece.chunk_checksums[static_cast<std::size_t>(number)];
  if (digest == stated) return;
  const ChunkPlace place = place_of(piece, {number, 1});
  throw CheckpointError("{}: tensor {}, bytes {}..{}: the checksum is {}, but the piece table says {}",
                        input_.path().string(), piece.tensor.name, place.offset, place.offset + place.bytes,
                        hex64(digest), hex64(stated));
}

void ShardReader::check(std::size_t index, ChunkRange range, std::span<const std::byte> bytes) const {
  const auto chunk_bytes = static_cast<std::size_t>(pieces_[index].chunk_bytes);
  for (std::int64_t number = range.first; !bytes.empty(); ++number) {
    const auto chunk = bytes.first(std::min(chunk_bytes, bytes.size()));
    check_chunk(index, number, xxh3_64(chunk));
    bytes = bytes.subspan(chunk.size());
  }
}

std::span<const std::byte> ShardReader::read(std::size_t index, ChunkRange range) {
  if (held_range_ == range && held_piece_ == index) return held_;
  held_range_ = {};
  const ChunkPlace place = place_of(pieces_[index], range);
  held_ = input_.read_chunk(place.offset, place.bytes);
  check(index, range, held_);
  held_piece_ = index;
  held_range_ = range;
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
      const auto bytes = read(index, range_at(piece, from)).subspan(static_cast<std::size_t>(from % kTransferBytes));
      const std::size_t copied = std::min(into.size(), bytes.size());
      std::memcpy(into.data(), bytes.data(), copied);
      into = into.subspan(copied);
      from += static_cast<std::int64_t>(copied);
    }
  }
  return shared->elements();
}

void ShardReader::verify(std::size_t index) {
  const StoredPiece& piece = pieces_[index];
  for (std::int64_t at = 0; at < piece.bytes; at += kTransferBytes) {
    const ChunkRange range = range_at(piece, at);
    const ChunkPlace place = place_of(piece, range);
    std::int64_t number = range.first;
    for (const std::uint64_t digest : input_.checksums(place.offset, place.bytes, piece.chunk_bytes))
      check_chunk(index, number++, digest);
  }
}

}  // namespace stoa::checkpoint

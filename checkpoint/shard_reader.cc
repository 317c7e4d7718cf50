#include "stoa/checkpoint/shard_reader.h"

#include <algorithm>
#include <cstring>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/box_copy.h"

namespace stoa::checkpoint {
namespace {

constexpr std::int64_t kElementBytes = sizeof(float);

}  // namespace

ChunkPlace chunk_place(const StoredPiece& piece, std::int64_t number) {
  const std::int64_t begin = number * kChunkBytes;
  return {piece.offset + begin, std::min(kChunkBytes, piece.bytes - begin)};
}

ShardReader::ShardReader(const std::filesystem::path& folder, const ShardRecord& record)
    : input_(folder / record.file, record.bytes), bytes_(record.bytes) {
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

void ShardReader::check_chunk(std::size_t index, std::int64_t number, std::span<const std::byte> bytes) const {
  const StoredPiece& piece = pieces_[index];
  const std::int64_t offset = chunk_place(piece, number).offset;
  const std::uint64_t stated = piece.chunk_checksums[static_cast<std::size_t>(number)];
  if (const std::uint64_t found = xxh3_64(bytes); found != stated)
    throw CheckpointError("{}: tensor {}, bytes {}..{}: the checksum is {}, but the piece table says {}",
                          input_.path().string(), piece.tensor.name, offset,
                          offset + static_cast<std::int64_t>(bytes.size()), hex64(found), hex64(stated));
}

std::span<const std::byte> ShardReader::chunk(std::size_t index, std::int64_t number) {
  if (held_number_ == number && held_piece_ == index) return held_;
  held_number_ = -1;
  const ChunkPlace place = chunk_place(pieces_[index], number);
  held_ = input_.read_chunk(place.offset, place.bytes);
  check_chunk(index, number, held_);
  held_piece_ = index;
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
          std::min<std::int64_t>(static_cast<std::int64_t>(into.size()), chunk_place(piece, number).bytes - skip));
      std::memcpy(into.data(), chunk(index, number).data() + skip, bytes);
      into = into.subspan(bytes);
      from += static_cast<std::int64_t>(bytes);
    }
  }
  return shared->elements();
}

void ShardReader::verify(std::size_t index) {
  for (std::int64_t number = 0; number < chunks_of(pieces_[index].bytes); ++number) chunk(index, number);
}

}  // namespace stoa::checkpoint

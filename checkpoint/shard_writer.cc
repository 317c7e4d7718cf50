#include "stoa/checkpoint/shard_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "stoa/base/checksum.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/hdf5_shard.h"

namespace stoa::checkpoint {
namespace {

static_assert(std::endian::native == std::endian::little, "shards hold little-endian floats, written as they stand");

std::vector<StoredPiece> plan(std::span<const PieceToSave> pieces) {
  std::vector<StoredPiece> planned;
  for (const PieceToSave& piece : pieces) {
    if (piece.values.empty()) continue;
    const auto bytes = static_cast<std::int64_t>(piece.values.size_bytes());
    planned.push_back({piece.tensor, piece.box, 0, bytes, std::vector<std::uint64_t>(chunks_of(bytes))});
  }
  return planned;
}

void seek(int fd, std::int64_t offset, const std::filesystem::path& path) {
  if (::lseek(fd, offset, SEEK_SET) < 0) throw StorageError("{}: seek failed: {}", path.string(), errno_message(errno));
}

/// Hashes and writes chunk by chunk, so that the bytes come from memory once.
void write_piece(int fd, StoredPiece& stored, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  seek(fd, stored.offset, path);
  for (std::uint64_t& checksum : stored.chunk_checksums) {
    const auto chunk = bytes.first(std::min<std::size_t>(kChunkBytes, bytes.size()));
    checksum = xxh3_64(chunk);
    write_all(fd, chunk, path);
    bytes = bytes.subspan(chunk.size());
  }
}

}  // namespace

ShardRecord write_shard(const std::filesystem::path& path, std::span<const PieceToSave> pieces) {
  std::vector<StoredPiece> stored = plan(pieces);
  const TablePlace place = create_hdf5_shard(path, stored);
  const FileDescriptor fd = open_file(path, O_WRONLY);
  auto next = stored.begin();
  for (const PieceToSave& piece : pieces)
    if (!piece.values.empty()) write_piece(fd.get(), *next++, std::as_bytes(piece.values), path);
  const std::string table = format_piece_table(stored);
  if (static_cast<std::int64_t>(table.size()) != place.bytes)
    throw InternalError("{}: the piece table grew from {} to {} bytes", path.string(), place.bytes, table.size());
  seek(fd.get(), place.offset, path);
  write_all(fd.get(), std::as_bytes(std::span(table)), path);
  sync_file(fd.get(), path);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0) throw StorageError("{}: stat failed: {}", path.string(), errno_message(errno));
  return {path.filename().string(), status.st_size, place.offset, place.bytes,
          xxh3_128_hex(std::as_bytes(std::span(table)))};
}

}  // namespace stoa::checkpoint

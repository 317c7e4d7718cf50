#include "stoa/checkpoint/view_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "stoa/base/checksum.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/publication.h"
#include "stoa/checkpoint/shard_input.h"
#include "stoa/checkpoint/shard_reader.h"

namespace stoa::checkpoint {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFileName = "checkpoint.h5";
constexpr std::string_view kTailBegin = "\nxxh3-128 ";
constexpr std::int64_t kTailBytes = static_cast<std::int64_t>(kTailBegin.size()) + 32 + 1;

/// Of the first `bytes` bytes.
std::string tail_of(const fs::path& path, std::int64_t bytes) {
  const FileDescriptor file = open_file(path, O_RDONLY | O_NOFOLLOW);
  Xxh3Stream digest;
  std::vector<std::byte> block(kTransferBytes);
  while (bytes > 0) {
    const auto part = std::span(block).first(static_cast<std::size_t>(std::min(kTransferBytes, bytes)));
    const ssize_t got = ::read(file.get(), part.data(), part.size());
    if (got <= 0)
      throw StorageError("{}: read failed: {}", path.string(), got < 0 ? errno_message(errno) : "it has ended");
    digest.update(part.first(static_cast<std::size_t>(got)));
    bytes -= got;
  }
  return fmt::format("{}{}\n", kTailBegin, digest.digest_128_hex());
}

std::int64_t size_of(const fs::path& path) {
  std::error_code error;
  const auto bytes = static_cast<std::int64_t>(fs::file_size(path, error));
  if (error) throw StorageError("{}: {}", path.string(), error.message());
  return bytes;
}

}  // namespace

void write_view(const fs::path& folder, std::span<const GlobalTensor> tensors, std::span<const PieceSource> sources) {
  const fs::path path = folder / kFileName, partial = path.string() + ".partial";
  std::error_code error;
  fs::remove(partial, error);
  write_global_view(partial, tensors, sources);
  keep_from_others(partial, error);
  const std::int64_t bytes = size_of(partial);
  const std::string tail = tail_of(partial, bytes);
  const FileDescriptor file = open_file(partial, O_WRONLY | O_APPEND);
  write_all(file.get(), std::as_bytes(std::span(tail)), partial);
  sync_file(file.get(), partial);
  rename_durably(partial, path);
}

std::int64_t rewrite_view(const fs::path& folder) {
  const Manifest manifest = read_manifest(folder);
  std::vector<PieceSource> sources;
  for (const ShardRecord& record : manifest.shards) {
    const ShardReader shard(folder, record);
    for (const StoredPiece& piece : shard.pieces()) {
      PieceSource& source = sources.emplace_back();
      source.piece = {piece.tensor, piece.box};
      source.file = record.file;
    }
  }
  write_view(folder, manifest.tensors, sources);
  return static_cast<std::int64_t>(sources.size());
}

std::string view_defect(const fs::path& folder) {
  const fs::path path = folder / kFileName;
  std::error_code error;
  if (!fs::exists(fs::symlink_status(path, error))) return "";
  try {
    const std::int64_t bytes = size_of(path);
    std::string tail(static_cast<std::size_t>(std::min(bytes, kTailBytes)), '\0');
    ShardInput(path, bytes)
        .read_at(bytes - static_cast<std::int64_t>(tail.size()), std::as_writable_bytes(std::span(tail)));
    if (bytes >= kTailBytes && tail == tail_of(path, bytes - kTailBytes)) return "";
  } catch (const Error& failure) {
    return failure.what();
  }
  return fmt::format("{}: it does not end with a digest of its bytes", path.string());
}

}  // namespace stoa::checkpoint

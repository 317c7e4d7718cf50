#include "stoa/checkpoint/shard_input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/piece_table.h"

namespace stoa::checkpoint {
namespace {

/// What every file system asks of offset, length and memory at most.
constexpr std::int64_t kBlockBytes = 4096;
/// Below this a read through the page cache, which small pieces share, is the faster one.
constexpr std::int64_t kLeastDirectBytes = std::int64_t{1} << 20;

FileDescriptor open_shard(const std::filesystem::path& path, std::int64_t bytes) {
  struct stat status {};
  // Before open(2): a pipe put in a shard's place would make it wait, and a link could lead anywhere.
  if (::lstat(path.c_str(), &status) != 0) throw CheckpointError("{}: {}", path.string(), errno_message(errno));
  if (!S_ISREG(status.st_mode)) throw CheckpointError("{}: not a regular file", path.string());
  if (status.st_size != bytes)
    throw CheckpointError("{}: {} bytes, but the manifest says {}", path.string(), status.st_size, bytes);
  return open_file(path, O_RDONLY | O_NOFOLLOW);
}

}  // namespace

ShardInput::ShardInput(const std::filesystem::path& path, std::int64_t bytes)
    : path_(path),
      fd_(open_shard(path, bytes)),
      direct_(::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC)),
      cached_(std::make_unique<CachedFile>(fd_.get(), bytes, path)) {}

bool ShardInput::read_direct(std::int64_t begin, std::int64_t end) {
  if (!direct_) return false;
  const std::int64_t whole_begin = begin / kBlockBytes * kBlockBytes;
  const std::int64_t whole_end = (end + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  const auto into = buffer_->bytes().first(static_cast<std::size_t>(whole_end - whole_begin));
  const ssize_t got = ::pread(direct_.get(), into.data(), into.size(), whole_begin);
  if (got < 0 && errno == EINVAL) direct_.reset();  // some file systems open the file and refuse only now
  // Anything else that went wrong goes wrong again below, and is reported there.
  return got >= end - whole_begin;
}

std::span<const std::byte> ShardInput::read_chunk(std::int64_t offset, std::int64_t bytes) {
  // The blocks at both ends of a chunk that begins inside one are touched only then.
  if (!buffer_) buffer_ = std::make_unique<parallel::PrivateMemory>(kTransferBytes + 2 * kBlockBytes, path_.string());
  const auto size = static_cast<std::size_t>(bytes);
  if (bytes >= kLeastDirectBytes && !cached_->is_cached(offset, bytes) && read_direct(offset, offset + bytes))
    return buffer_->bytes().subspan(static_cast<std::size_t>(offset % kBlockBytes), size);
  read_at(offset, buffer_->bytes().first(size));
  return buffer_->bytes().first(size);
}

void ShardInput::read_at(std::int64_t offset, std::span<std::byte> into) const {
  while (!into.empty()) {
    const ssize_t got = ::pread(fd_.get(), into.data(), into.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw StorageError("{}: read at byte {} failed: {}", path_.string(), offset, errno_message(errno));
    if (got == 0) throw CheckpointError("{}: ends at byte {}", path_.string(), offset);
    offset += got;
    into = into.subspan(static_cast<std::size_t>(got));
  }
}

std::vector<std::uint64_t> ShardInput::checksums(std::int64_t offset, std::int64_t bytes, std::int64_t chunk_bytes) {
  std::vector<std::uint64_t> digests;
  const auto chunk_at = [&](std::int64_t at) { return std::min(chunk_bytes, bytes - at); };
  if (cached_->is_cached(offset, bytes))
    for (std::int64_t at = 0; at < bytes; at += chunk_bytes) {
      const auto digest = cached_->xxh3_64(offset + at, chunk_at(at));
      if (!digest) break;  // reading it below says why
      digests.push_back(*digest);
    }
  if (static_cast<std::int64_t>(digests.size()) * chunk_bytes >= bytes) return digests;
  digests.clear();
  const auto read = read_chunk(offset, bytes);
  for (std::int64_t at = 0; at < bytes; at += chunk_bytes)
    digests.push_back(xxh3_64(read.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(chunk_at(at)))));
  return digests;
}

}  // namespace stoa::checkpoint

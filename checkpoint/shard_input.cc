#include "stoa/checkpoint/shard_input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

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
  // Before open(2): a pipe put in a shard's place would make it wait.
  if (::stat(path.c_str(), &status) != 0) throw CheckpointError("{}: {}", path.string(), errno_message(errno));
  if (!S_ISREG(status.st_mode)) throw CheckpointError("{}: not a regular file", path.string());
  if (status.st_size != bytes)
    throw CheckpointError("{}: {} bytes, but the manifest says {}", path.string(), status.st_size, bytes);
  return open_file(path, O_RDONLY);
}

}  // namespace

void ShardInput::Free::operator()(void* memory) const { std::free(memory); }

ShardInput::ShardInput(const std::filesystem::path& path, std::int64_t bytes)
    : path_(path),
      fd_(open_shard(path, bytes)),
      direct_(::open(path.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC)),
      buffer_(static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, kChunkBytes + 2 * kBlockBytes))) {
  if (!buffer_) throw std::bad_alloc();
}

bool ShardInput::read_direct(std::int64_t begin, std::int64_t end) {
  if (!direct_) return false;
  const std::int64_t whole_begin = begin / kBlockBytes * kBlockBytes;
  const std::int64_t whole_end = (end + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  const ssize_t got =
      ::pread(direct_.get(), buffer_.get(), static_cast<std::size_t>(whole_end - whole_begin), whole_begin);
  if (got < 0 && errno == EINVAL) direct_.reset();  // some file systems open the file and refuse only now
  // Anything else that went wrong goes wrong again below, and is reported there.
  return got >= end - whole_begin;
}

bool ShardInput::read_cached(std::int64_t offset, std::span<std::byte> into) {
  iovec part{into.data(), into.size()};
  // Stops at the first page that is not there; what a file system does not offer is an error like any other.
  return ::preadv2(fd_.get(), &part, 1, offset, RWF_NOWAIT) == static_cast<ssize_t>(into.size());
}

std::span<const std::byte> ShardInput::read_chunk(std::int64_t offset, std::int64_t bytes) {
  const auto size = static_cast<std::size_t>(bytes);
  if (read_cached(offset, {buffer_.get(), size})) return {buffer_.get(), size};
  if (bytes >= kLeastDirectBytes && read_direct(offset, offset + bytes))
    return {buffer_.get() + offset % kBlockBytes, size};
  const std::span<std::byte> into(buffer_.get(), size);
  read_at(offset, into);
  return into;
}

void ShardInput::read_at(std::int64_t offset, std::span<std::byte> into) {
  while (!into.empty()) {
    const ssize_t got = ::pread(fd_.get(), into.data(), into.size(), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw StorageError("{}: read at byte {} failed: {}", path_.string(), offset, errno_message(errno));
    if (got == 0) throw CheckpointError("{}: ends at byte {}", path_.string(), offset);
    offset += got;
    into = into.subspan(static_cast<std::size_t>(got));
  }
}

}  // namespace stoa::checkpoint

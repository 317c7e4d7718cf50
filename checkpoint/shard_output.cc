#include "stoa/checkpoint/shard_output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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

void write_all_at(int fd, std::int64_t offset, std::span<const std::byte> bytes, const std::filesystem::path& path) {
  if (::lseek(fd, offset, SEEK_SET) < 0) throw StorageError("{}: seek failed: {}", path.string(), errno_message(errno));
  write_all(fd, bytes, path);
}

}  // namespace

void ShardOutput::Free::operator()(void* memory) const { std::free(memory); }

ShardOutput::Block ShardOutput::make_block() {
  Block block(static_cast<std::byte*>(std::aligned_alloc(kBlockBytes, kTransferBytes)));
  if (!block) throw std::bad_alloc();
  return block;
}

ShardOutput::ShardOutput(const std::filesystem::path& path) : path_(path), fd_(open_file(path, O_WRONLY)) {
  direct_ = FileDescriptor(::open(path.c_str(), O_WRONLY | O_DIRECT | O_CLOEXEC));
  if (!direct_) return;
  block_ = make_block();
}

std::size_t ShardOutput::write_direct(std::int64_t offset, std::span<const std::byte> bytes) {
  const std::size_t whole = bytes.size() - bytes.size() % kBlockBytes;
  if (!direct_ || whole == 0 || offset % kBlockBytes != 0) return 0;
  const std::byte* from = bytes.data();
  if (reinterpret_cast<std::uintptr_t>(from) % kBlockBytes != 0) {
    std::memcpy(block_.get(), bytes.data(), whole);
    from = block_.get();
  }
  const ssize_t written = ::pwrite(direct_.get(), from, whole, offset);
  if (written < 0 && errno == EINTR) return 0;
  if (written < 0 && errno == EINVAL) {
    direct_.reset();  // some file systems open the file and refuse only now
    return 0;
  }
  if (written < 0) throw StorageError("{}: write failed: {}", path_.string(), errno_message(errno));
  return static_cast<std::size_t>(written);
}

void ShardOutput::write_at(std::int64_t offset, std::span<const std::byte> bytes) {
  const std::size_t direct = write_direct(offset, bytes);
  if (direct < bytes.size())
    write_all_at(fd_.get(), offset + static_cast<std::int64_t>(direct), bytes.subspan(direct), path_);
}

void ShardOutput::sync() { sync_file(fd_.get(), path_); }

std::int64_t ShardOutput::size() const {
  struct stat status {};
  if (::fstat(fd_.get(), &status) != 0) throw StorageError("{}: stat failed: {}", path_.string(), errno_message(errno));
  return status.st_size;
}

}  // namespace stoa::checkpoint

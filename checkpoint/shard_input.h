#pragma once
/// Reading at offsets of a shard. Large reads go past the page cache where the file system allows it and the bytes are
/// not in it: after a crash nothing is cached, and on the disks measured that is ten times as fast as reading ahead
/// through it.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

#include "stoa/base/durable_file.h"

namespace stoa::checkpoint {

class ShardInput {
 public:
  /// CheckpointError where the file is missing, no regular file, or not of `bytes` bytes; StorageError where it cannot
  /// be opened.
  ShardInput(const std::filesystem::path& path, std::int64_t bytes);

  const std::filesystem::path& path() const { return path_; }

  /// `bytes` bytes at `offset`, valid until the next call. StorageError; CheckpointError where the file ends before.
  /// REQUIRES: 0 < bytes <= kChunkBytes.
  std::span<const std::byte> read_chunk(std::int64_t offset, std::int64_t bytes);
  /// The same into the caller's memory, of any length.
  void read_at(std::int64_t offset, std::span<std::byte> into);

 private:
  struct Free {
    void operator()(void* memory) const;
  };

  /// Whether all of them came out of the page cache, without a wait for the disk.
  bool read_cached(std::int64_t offset, std::span<std::byte> into);
  /// Whether direct reading of the blocks around the bytes put all of them into the buffer.
  bool read_direct(std::int64_t begin, std::int64_t end);

  std::filesystem::path path_;
  FileDescriptor fd_;
  FileDescriptor direct_;  ///< empty where the file system has no direct reading
  std::unique_ptr<std::byte, Free> buffer_;
};

}  // namespace stoa::checkpoint

#pragma once
/// Reading at offsets of a shard: out of the page cache what is there, and past it what is not, where the file system
/// allows it. After a crash nothing is cached, and to put 2 GiB into the cache first costs a processor 0.8 s.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "stoa/base/durable_file.h"
#include "stoa/checkpoint/cached_file.h"
#include "stoa/parallel/private_memory.h"

namespace stoa::checkpoint {

/// Where bytes stand in a file.
struct ChunkPlace {
  std::int64_t offset = 0;
  std::int64_t bytes = 0;
};

class ShardInput {
 public:
  /// CheckpointError where the file is missing, no regular file, or not of `bytes` bytes; StorageError where it cannot
  /// be opened.
  ShardInput(const std::filesystem::path& path, std::int64_t bytes);

  const std::filesystem::path& path() const { return path_; }

  /// `bytes` bytes at `offset`, valid until the next call. StorageError; CheckpointError where the file ends before.
  /// REQUIRES: 0 < bytes <= kTransferBytes.
  std::span<const std::byte> read_chunk(std::int64_t offset, std::int64_t bytes);
  /// The same into the caller's memory, of any length.
  void read_at(std::int64_t offset, std::span<std::byte> into) const;
  /// XXH3 of each `chunk_bytes` of them, with the errors of reading them, at the speed of memory where they are in the
  /// page cache.
  std::vector<std::uint64_t> checksums(std::int64_t offset, std::int64_t bytes, std::int64_t chunk_bytes);

 private:
  /// Whether direct reading of the blocks around the bytes put all of them into the buffer.
  bool read_direct(std::int64_t begin, std::int64_t end);

  std::filesystem::path path_;
  FileDescriptor fd_;
  FileDescriptor direct_;  ///< empty where the file system has no direct reading
  /// In huge pages, which a disk fills three times as fast as scattered small ones.
  std::unique_ptr<parallel::PrivateMemory> buffer_;
  std::unique_ptr<CachedFile> cached_;
};

}  // namespace stoa::checkpoint

#pragma once
/// What the page cache holds of a file, and a checksum over it where it lies, without a copy.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>

namespace stoa::checkpoint {

class CachedFile {
 public:
  /// ResourceError where it cannot be mapped. From the first one on the process has a handler of SIGBUS, which leaves
  /// those that are not of a mapped file to the handler before.
  CachedFile(int fd, std::int64_t bytes, const std::filesystem::path& path);
  ~CachedFile();
  CachedFile(const CachedFile&) = delete;
  CachedFile& operator=(const CachedFile&) = delete;

  /// Whether all of `bytes` bytes at `offset`, which lie inside, are in the page cache; true where Linux does not tell.
  bool is_cached(std::int64_t offset, std::int64_t bytes) const;
  /// XXH3 of `bytes` bytes at `offset`; nothing where they could not be read any more (the disk
  /// failed, or the file was cut). Any thread.
  std::optional<std::uint64_t> xxh3_64(std::int64_t offset, std::int64_t bytes) const;

 private:
  void* begin_;
  std::size_t bytes_;
};

}  // namespace stoa::checkpoint

#pragma once
/// Parts of a shard read ahead, in the order in which they will be needed: a thread reads the next ones while the
/// caller works on one.
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <mutex>
#include <span>
#include <thread>
#include <vector>

#include "stoa/checkpoint/shard_input.h"

namespace stoa::checkpoint {

/// Of at most kChunkBytes.
struct ChunkPlace {
  std::int64_t offset = 0;
  std::int64_t bytes = 0;
};

class ChunkStream {
 public:
  /// Of a shard of `shard_bytes` bytes. Errors as ShardInput's.
  ChunkStream(const std::filesystem::path& path, std::int64_t shard_bytes, std::vector<ChunkPlace> chunks);
  ~ChunkStream();
  ChunkStream(const ChunkStream&) = delete;
  ChunkStream& operator=(const ChunkStream&) = delete;

  /// The bytes of the next one, valid until the next call. Throws what reading it threw. REQUIRES: there is one.
  std::span<const std::byte> next();

 private:
  void serve();

  std::vector<ChunkPlace> chunks_;
  std::vector<ShardInput> inputs_;  ///< one holds the caller's chunk, the others those ahead
  std::vector<std::span<const std::byte>> bytes_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t read_ = 0, freed_ = 0;  ///< chunks so far
  bool at_hand_ = false, leaving_ = false;
  std::exception_ptr failure_;  ///< of reading chunk number read_
  std::thread thread_;
};

}  // namespace stoa::checkpoint

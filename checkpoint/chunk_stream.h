#pragma once
/// Parts of a shard read ahead, in the order in which they will be needed: two threads read the next ones while the
/// caller works on one.
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <filesystem>
#include <mutex>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "stoa/checkpoint/shard_input.h"

namespace stoa::checkpoint {

class ChunkStream {
 public:
  /// Of a shard of `shard_bytes` bytes, each chunk of kTransferBytes at most. Errors as ShardInput's.
  ChunkStream(const std::filesystem::path& path, std::int64_t shard_bytes, std::vector<ChunkPlace> chunks);
  ~ChunkStream();
  ChunkStream(const ChunkStream&) = delete;
  ChunkStream& operator=(const ChunkStream&) = delete;

  /// The bytes of the next one, valid until the next call. Throws what reading it threw, and is not called again then.
  /// REQUIRES: there is one.
  std::span<const std::byte> next();

 private:
  /// A place for a chunk: chunk number n stands in place n modulo their number.
  struct Read {
    explicit Read(ShardInput&& opened) : input(std::move(opened)) {}
    ShardInput input;
    std::span<const std::byte> bytes;
    std::exception_ptr failure;
    bool ended = false;
  };
  void serve();
  void leave();

  std::vector<ChunkPlace> chunks_;
  std::vector<Read> read_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t begun_ = 0, freed_ = 0;  ///< chunks so far
  bool at_hand_ = false, leaving_ = false;
  std::vector<std::thread> readers_;
};

}  // namespace stoa::checkpoint

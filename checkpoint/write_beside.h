#pragma once
/// One write of a shard at a time, on a thread of its own, while the caller goes on (hashing the same bytes).
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <mutex>
#include <span>
#include <thread>

#include "stoa/checkpoint/shard_output.h"

namespace stoa::checkpoint {

class WriteBeside {
 public:
  /// Borrows the output, which nobody else uses.
  explicit WriteBeside(ShardOutput& output);
  ~WriteBeside();
  WriteBeside(const WriteBeside&) = delete;
  WriteBeside& operator=(const WriteBeside&) = delete;

  /// `bytes` (not empty, kTransferBytes at most) stay as they are until finish(). REQUIRES: the write before is
  /// finished.
  void start(std::int64_t offset, std::span<const std::byte> bytes);
  /// Waits; throws the write's StorageError.
  void finish();

 private:
  void serve();

  ShardOutput& output_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::int64_t offset_ = 0;
  std::span<const std::byte> bytes_;  ///< being written where not empty
  std::exception_ptr failure_;
  bool leaving_ = false;
  std::thread thread_;
};

}  // namespace stoa::checkpoint

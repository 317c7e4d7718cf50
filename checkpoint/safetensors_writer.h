#pragma once
/// Writes safetensors files whose tensors come as one stream of values, in order.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "stoa/checkpoint/safetensors_header.h"
#include "stoa/checkpoint/shard_output.h"

namespace stoa::checkpoint {

/// One file: the header stands before the first value is written, whole blocks go past the page cache.
class SafetensorsWriter {
 public:
  /// Creates `path`, which must not exist. StorageError, also of every other function.
  SafetensorsWriter(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries);

  /// The next bytes of the data.
  void append(std::span<const std::byte> bytes);
  /// The last bytes and fsync. InternalError where the data is not as long as the header says.
  void finish();

 private:
  void write_block();

  std::filesystem::path path_;
  std::int64_t bytes_ = 0;  ///< of the whole file
  std::int64_t offset_ = 0;
  ShardOutput::Block block_ = ShardOutput::make_block();
  std::size_t filled_ = 0;  ///< of the block
  std::unique_ptr<ShardOutput> output_;
};

}  // namespace stoa::checkpoint

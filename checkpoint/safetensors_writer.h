#pragma once
/// Writes safetensors files whose tensors come as one stream of values, in order.
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "stoa/checkpoint/safetensors_header.h"

namespace stoa::checkpoint {

/// One file: the header stands before the first value is written, whole blocks go past the page cache. Blocks are
/// written by a thread of its own while the caller fills the next ones, three of them at most.
class SafetensorsWriter {
 public:
  /// Creates `path`, which must not exist. StorageError, also of every other function; what the thread could not write
  /// is thrown by the next call.
  SafetensorsWriter(const std::filesystem::path& path, std::vector<SafetensorsEntry> entries);
  /// Without finish() the file is not whole.
  ~SafetensorsWriter();

  /// The next bytes of the data.
  void append(std::span<const std::byte> bytes);
  /// The last bytes and fsync. InternalError where the data is not as long as the header says.
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stoa::checkpoint

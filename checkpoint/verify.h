#pragma once
/// Reads a whole checkpoint and compares every checksum, without keeping any value.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "stoa/checkpoint/manifest.h"

namespace stoa::checkpoint {

/// The manifest of a whole checkpoint; CheckpointError that names the first file, tensor and byte range that is wrong.
Manifest verify_checkpoint(const std::filesystem::path& folder);

struct VerifyReport {
  std::int64_t tensors = 0;
  std::int64_t bytes = 0;  ///< of values that were compared
  /// Each with its file, and tensor and byte range where it has one: the first of each piece.
  std::vector<std::string> defects;
};

/// The same with `threads` threads (one at least), and all that is wrong; also checkpoint.h5 where it is there.
/// `progress` is called by the first thread, with the bytes compared so far and in all. CheckpointError and
/// StorageError where there is no manifest that can be read.
VerifyReport verify_all(const std::filesystem::path& folder, int threads,
                        const std::function<void(std::int64_t done, std::int64_t of)>& progress);

}  // namespace stoa::checkpoint

#pragma once
/// Reads a whole checkpoint and compares every checksum, without keeping any value.
#include <filesystem>

#include "stoa/checkpoint/manifest.h"

namespace stoa::checkpoint {

/// The manifest of a whole checkpoint; CheckpointError that names the first file, tensor and byte range that is wrong.
Manifest verify_checkpoint(const std::filesystem::path& folder);

}  // namespace stoa::checkpoint

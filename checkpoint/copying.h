#pragma once
/// A whole checkpoint at another place: byte for byte, and verified there before it is seen.
#include <cstdint>
#include <filesystem>
#include <functional>

namespace stoa::checkpoint {

/// Copies the files of `folder` that its manifest names, the manifest and checkpoint.h5 to the new folder `to`,
/// fsynced. `progress` hears the bytes copied so far and in all. Returns the bytes. UsageError where `to` is there
/// already; CheckpointError where a copy is not what the manifest says, StorageError: then there is no `to`.
std::int64_t copy_checkpoint(const std::filesystem::path& folder, const std::filesystem::path& to,
                             const std::function<void(std::int64_t done, std::int64_t of)>& progress);

}  // namespace stoa::checkpoint

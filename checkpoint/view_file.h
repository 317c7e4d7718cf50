#pragma once
/// checkpoint.h5 as a file of a step's folder: written whole, with a digest of itself behind the end that HDF5 sees.
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>

#include "stoa/checkpoint/hdf5_global_view.h"

namespace stoa::checkpoint {

/// With more pieces than this a save leaves checkpoint.h5 to rewrite_view().
inline constexpr std::int64_t kMostMappings = 1'000'000;

/// FOLDER/checkpoint.h5 anew, by one rename, fsynced. StorageError.
void write_view(const std::filesystem::path& folder, std::span<const GlobalTensor> tensors,
                std::span<const PieceSource> sources);
/// The same of a published checkpoint, whose manifest and piece tables it reads; returns the number of pieces. Errors
/// as CheckpointReader's.
std::int64_t rewrite_view(const std::filesystem::path& folder);

/// What is wrong with FOLDER/checkpoint.h5; empty where nothing is, and where there is none.
std::string view_defect(const std::filesystem::path& folder);

}  // namespace stoa::checkpoint

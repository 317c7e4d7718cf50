#pragma once
/// The HDF5 skeleton of a shard: all its metadata, and room for the data, which Stoa writes and reads by offset.
#include <filesystem>
#include <string>
#include <vector>

#include "stoa/checkpoint/piece_table.h"

namespace stoa::checkpoint {

/// Path of a piece's dataset in its shard: "/parameters/embedding.weight/@0:33,32:65".
std::string piece_dataset_path(const GlobalTensor& tensor, const parallel::Box& box);

/// Where a piece table stands in its file.
struct TablePlace {
  std::int64_t offset = 0;
  std::int64_t bytes = 0;
};

/// Creates `path` with a contiguous dataset per piece and /piece_table, closes it, and fills in the pieces' offsets.
/// The checksums may be of any value yet, but there must be as many as there will be. StorageError.
TablePlace create_hdf5_shard(const std::filesystem::path& path, std::vector<StoredPiece>& pieces);

}  // namespace stoa::checkpoint

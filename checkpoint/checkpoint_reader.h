#pragma once
/// Boxes of a checkpoint's tensors one after the other, by one process that never holds the whole: for converting it.
#include <filesystem>
#include <list>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/shard_reader.h"

namespace stoa::checkpoint {

class CheckpointReader {
 public:
  /// Reads the manifest and all piece tables. CheckpointError where the checkpoint is not whole as far as those tell.
  explicit CheckpointReader(std::filesystem::path folder);

  const std::filesystem::path& folder() const { return folder_; }
  const Manifest& manifest() const { return manifest_; }

  /// Fills `wanted` with verified values: CheckpointError where a chunk is not right, or where the tensor is not there
  /// or has another shape. Neighbouring boxes asked for in order read each chunk once.
  void read(const PieceToLoad& wanted);

 private:
  struct Place {
    std::size_t shard;
    std::size_t piece;
    parallel::Box box;
  };
  ShardReader& shard(std::size_t number);

  std::filesystem::path folder_;
  Manifest manifest_;
  std::map<std::string, std::vector<Place>, std::less<>> places_;  ///< by tensor
  /// A few shards are open at a time, the last used first: each holds a buffer of a chunk.
  std::list<std::pair<std::size_t, ShardReader>> open_;
};

}  // namespace stoa::checkpoint

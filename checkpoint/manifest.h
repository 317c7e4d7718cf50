#pragma once
/// manifest.json: what makes a checkpoint whole. Its last line is a digest of all bytes before it.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/json.h"
#include "stoa/checkpoint/tensor_piece.h"

namespace stoa::checkpoint {

struct ShardRecord {
  std::string file;
  std::int64_t bytes = 0;
  std::int64_t table_offset = 0;
  std::int64_t table_bytes = 0;
  std::string table_digest;  ///< xxh3-128, 32 hexadecimal digits
  std::string rest_digest;   ///< of the bytes of neither pieces nor table; empty where none was recorded
};

struct Manifest {
  std::int64_t step = 0;
  std::string attempt;
  std::string created;  ///< RFC 3339, UTC
  Json state;
  std::vector<GlobalTensor> tensors;      ///< sorted by name
  std::vector<ShardRecord> shards;        ///< one a rank that saved
  std::vector<double> norms;              ///< L2, of each tensor; NaN where none was recorded
  std::optional<double> evaluation_loss;  ///< of the weights that it holds, where they were evaluated
};

/// "shard-00001-of-00004.h5"
std::string shard_file_name(int rank, int ranks);

std::string format_manifest(const Manifest& manifest);
/// CheckpointError "PLACE: ..." where anything is not as FORMAT.md says.
Manifest parse_manifest(std::string_view text, std::string_view place);
/// FOLDER/manifest.json. CheckpointError, also where it is missing; StorageError where it cannot be read.
Manifest read_manifest(const std::filesystem::path& folder);
/// The digest that FOLDER/manifest.json ends with: it names this checkpoint's content. Errors as read_manifest's.
std::string manifest_digest(const std::filesystem::path& folder);

}  // namespace stoa::checkpoint

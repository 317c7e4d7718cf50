#pragma once
/// The files of one model: how tensors are cut into them, and model.safetensors.index.json, which says where each
/// stands.
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/json.h"
#include "stoa/checkpoint/safetensors_header.h"

namespace stoa::checkpoint {

/// A file of a model and the tensors in it.
struct SafetensorsShard {
  std::string file;
  std::vector<SafetensorsEntry> entries;
};

/// Cuts tensors into files of at most `most_bytes` each by the rule of transformers: in order, a tensor that is larger
/// in a file of its own. "model.safetensors" where one holds all, else "model-00001-of-00003.safetensors".
std::vector<SafetensorsShard> cut_into_shards(std::vector<SafetensorsEntry> entries, std::int64_t most_bytes);

/// model.safetensors.index.json
Json safetensors_index(std::span<const SafetensorsShard> shards);

/// The names of tensors by file, from the text of an index. DataError "PLACE: ..." where it is not one or a tensor
/// stands there twice. Reads by events: allocates a few times the text's size at most.
std::map<std::string, std::set<std::string>> parse_safetensors_index(std::string_view text, std::string_view place);

}  // namespace stoa::checkpoint

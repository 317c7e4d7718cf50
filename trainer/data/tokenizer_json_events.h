#pragma once
/// A tokenizer.json parsed in one pass: the vocabulary and the merges, which may have hundreds of thousands of entries,
/// into plain lists, all else into a Json.
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "stoa/base/json.h"

namespace stoa::trainer {

struct WrittenTokenizer {
  Json rest;  ///< Without model.vocab and model.merges, where they are an object and a list.
  bool has_vocab = false;
  bool has_merges = false;
  std::vector<std::pair<std::string, std::int32_t>> vocab;  ///< token in the byte alphabet, id
  std::vector<std::pair<std::string, std::string>> merges;
};

/// DataError for what is no JSON, is nested beyond 64 levels, has an id that is none or a merge that is not two tokens.
WrittenTokenizer parse_tokenizer_json(std::string_view json, std::string_view place);

/// A value on one line, for messages: at most 80 bytes of it.
std::string shown(const Json& value);
/// An id in a tokenizer.json: at least 0 and below 2^31 - 1.
std::int32_t token_id(const Json& value, std::string_view token, std::string_view place);

}  // namespace stoa::trainer

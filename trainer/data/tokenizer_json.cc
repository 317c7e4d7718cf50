/// tokenizer.json in Hugging Face's shape. Whatever would make their library give other ids than ours is refused.
#include <nlohmann/json.hpp>

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/trainer/data/tokenizer_alphabet.h"
#include "stoa/trainer/data/tokenizer_state.h"

namespace stoa::trainer {
namespace {

/// Sorted keys: base/json.h keeps the order of keys and looks through all of them, too slow for a vocabulary.
using SortedJson = nlohmann::json;
constexpr int kDeepest = 64;

std::string shown(const SortedJson& value) {
  return value.dump(-1, ' ', false, SortedJson::error_handler_t::replace).substr(0, 80);
}

class Reader {
 public:
  Reader(std::string_view json, std::string_view place) : place_(place) {
    const auto refuse_deep = [&](int depth, SortedJson::parse_event_t, SortedJson&) -> bool {
      if (depth > kDeepest) throw DataError("{}: nested deeper than {} levels", place_, kDeepest);
      return true;
    };
    try {
      root_ = SortedJson::parse(json, refuse_deep);
    } catch (const nlohmann::json::exception& failure) {
      throw DataError("{}: not valid JSON: {}", place_, failure.what());
    }
  }

  Vocabulary read() {
    check_stages();
    const SortedJson& model = member(root_, "model");
    check_model(model);
    read_added_tokens();
    read_tokens(model);
    read_merges(model);
    check_alphabet();
    return std::move(vocabulary_);
  }

 private:
  const SortedJson& member(const SortedJson& object, const char* key) const {
    if (!object.is_object()) throw DataError("{}: expected an object with '{}', found {}", place_, key, shown(object));
    const auto found = object.find(key);
    if (found == object.end()) throw DataError("{}: '{}' is missing", place_, key);
    return *found;
  }

  /// `key` is `wanted` or absent where absence means the same.
  void require(const SortedJson& object, const char* key, const SortedJson& wanted,
               const SortedJson& when_absent) const {
    const auto found = object.find(key);
    const SortedJson& value = found == object.end() ? when_absent : *found;
    if (value != wanted)
      throw DataError("{}: '{}' is {}, but only {} is read: a byte-level BPE tokenizer as GPT-2's", place_, key,
                      shown(value), shown(wanted));
  }

  void check_stages() const {
    const SortedJson& pre_tokenizer = member(root_, "pre_tokenizer");
    require(root_, "version", "1.0", "1.0");
    require(root_, "truncation", nullptr, nullptr);
    require(root_, "padding", nullptr, nullptr);
    require(root_, "normalizer", nullptr, nullptr);
    if (!pre_tokenizer.is_object()) throw DataError("{}: 'pre_tokenizer' is {}", place_, shown(pre_tokenizer));
    require(pre_tokenizer, "type", "ByteLevel", nullptr);
    require(pre_tokenizer, "add_prefix_space", false, true);
    require(pre_tokenizer, "use_regex", true, true);
    for (const char* stage : {"post_processor", "decoder"}) {
      const auto found = root_.find(stage);
      if (found == root_.end() || found->is_null()) continue;
      if (!found->is_object()) throw DataError("{}: '{}' is {}", place_, stage, shown(*found));
      require(*found, "type", "ByteLevel", nullptr);
    }
  }

  void check_model(const SortedJson& model) const {
    if (!model.is_object()) throw DataError("{}: 'model' is {}", place_, shown(model));
    require(model, "type", "BPE", "BPE");
    require(model, "dropout", nullptr, nullptr);
    require(model, "ignore_merges", false, false);
    require(model, "byte_fallback", false, false);
    for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (const auto found = model.find(affix); found != model.end() && !found->is_null())
        require(model, affix, "", "");
  }

  std::int32_t id_in(const SortedJson& value, const std::string& token) const {
    if (!value.is_number_unsigned() ||
        value.get<std::uint64_t>() >= std::uint64_t{std::numeric_limits<std::int32_t>::max()})
      throw DataError("{}: the id of '{}' is {}", place_, token, shown(value));
    return value.get<std::int32_t>();
  }

  void read_added_tokens() {
    const SortedJson& added = member(root_, "added_tokens");
    if (!added.is_array()) throw DataError("{}: 'added_tokens' is {}", place_, shown(added));
    for (const SortedJson& entry : added) {
      const SortedJson& content = member(entry, "content");
      if (!content.is_string() || content.get_ref<const std::string&>().empty())
        throw DataError("{}: 'content' of an added token is {}", place_, shown(content));
      require(entry, "special", true, false);
      const auto& text = content.get_ref<const std::string&>();
      if (!special_.emplace(text, id_in(member(entry, "id"), text)).second)
        throw DataError("{}: added token '{}' stands there twice", place_, text);
    }
    if (!special_.contains(std::string(kEndOfText)))
      throw DataError("{}: 'added_tokens' has no '{}', which ends a document", place_, kEndOfText);
  }

  void put(std::int32_t id, const std::string& token, std::string bytes) {
    std::string& slot = vocabulary_.tokens[static_cast<std::size_t>(id)];
    if (!slot.empty()) throw DataError("{}: token '{}' has id {}, which another one has too", place_, token, id);
    slot = std::move(bytes);
  }

  void read_tokens(const SortedJson& model) {
    const SortedJson& vocab = member(model, "vocab");
    if (!vocab.is_object()) throw DataError("{}: 'vocab' is {}", place_, shown(vocab).substr(0, 20));
    const auto extra =
        std::count_if(special_.begin(), special_.end(), [&](const auto& s) { return !vocab.contains(s.first); });
    vocabulary_.tokens.resize(vocab.size() + static_cast<std::size_t>(extra));
    const auto checked = [&](std::int32_t id, const std::string& token) {
      if (static_cast<std::size_t>(id) < vocabulary_.tokens.size()) return id;
      throw DataError("{}: token '{}' has id {}, but {} tokens have ids 0 to {}", place_, token, id,
                      vocabulary_.tokens.size(), vocabulary_.tokens.size() - 1);
    };
    for (const auto& [token, id] : special_) {
      if (const auto same = vocab.find(token); same != vocab.end() && id_in(*same, token) != id)
        throw DataError("{}: '{}' has id {} in 'added_tokens' and {} in 'vocab'", place_, token, id, shown(*same));
      put(checked(id, token), token, token);
      vocabulary_.special.push_back(id);
    }
    std::sort(vocabulary_.special.begin(), vocabulary_.special.end());
    for (const auto& [token, value] : vocab.items()) {
      const std::int32_t id = checked(id_in(value, token), token);
      if (special_.contains(token)) continue;
      std::optional<std::string> bytes = from_alphabet(token);
      if (!bytes || bytes->empty()) throw DataError("{}: token '{}' is not of the byte alphabet", place_, token);
      put(id, token, std::move(*bytes));
      ids_.emplace(token, id);
    }
  }

  std::int32_t known(const std::string& token, std::size_t rank) const {
    const auto found = ids_.find(token);
    if (found == ids_.end()) throw DataError("{}: merge {}: '{}' is not in 'vocab'", place_, rank, token);
    return found->second;
  }

  /// "a b", as written before 2024, or ["a", "b"].
  std::pair<std::string, std::string> halves(const SortedJson& merge, std::size_t rank) const {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string())
      return {merge[0], merge[1]};
    if (merge.is_string()) {
      const auto& text = merge.get_ref<const std::string&>();
      const std::size_t space = text.find(' ');
      if (space != std::string::npos && text.find(' ', space + 1) == std::string::npos)
        return {text.substr(0, space), text.substr(space + 1)};
    }
    throw DataError("{}: merge {} is {}, but \"a b\" or [\"a\", \"b\"] is expected", place_, rank, shown(merge));
  }

  void read_merges(const SortedJson& model) {
    const SortedJson& merges = member(model, "merges");
    if (!merges.is_array()) throw DataError("{}: 'merges' is {}", place_, shown(merges));
    std::unordered_map<std::uint64_t, std::size_t> seen;
    for (const SortedJson& merge : merges) {
      const std::size_t rank = vocabulary_.merges.size();
      const auto [left, right] = halves(merge, rank);
      const Merge read{known(left, rank), known(right, rank), known(left + right, rank)};
      const std::uint64_t pair = (static_cast<std::uint64_t>(read.left) << 32) | static_cast<std::uint64_t>(read.right);
      if (const auto [earlier, is_new] = seen.emplace(pair, rank); !is_new)
        throw DataError("{}: merge {} is merge {} again", place_, rank, earlier->second);
      vocabulary_.merges.push_back(read);
    }
  }

  void check_alphabet() const {
    for (const std::uint8_t byte : bytes_in_alphabet_order()) {
      const std::string character = to_alphabet(std::string_view(reinterpret_cast<const char*>(&byte), 1));
      if (!ids_.contains(character))
        throw DataError("{}: 'vocab' has no token for byte {} ('{}'): some texts could not be written", place_, byte,
                        character);
    }
  }

  std::string_view place_;
  SortedJson root_;
  Vocabulary vocabulary_;
  std::unordered_map<std::string, std::int32_t> special_;
  std::unordered_map<std::string, std::int32_t> ids_;
};

std::string quoted(const std::string& text) { return Json(text).dump(); }

constexpr std::string_view kByteLevel =
    R"({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})";

std::string added_token(std::int32_t id, const std::string& content) {
  return fmt::format(
      R"({{"id": {}, "content": {}, "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, )"
      R"("special": true}})",
      id, quoted(content));
}

}  // namespace

Tokenizer Tokenizer::parse(std::string_view json, std::string_view place) {
  return Tokenizer(std::make_unique<State>(Reader(json, place).read()));
}

std::string Tokenizer::to_json() const {
  const Vocabulary& vocabulary = state_->vocabulary;
  const auto is_special = [&](std::int32_t id) {
    return std::binary_search(vocabulary.special.begin(), vocabulary.special.end(), id);
  };
  const auto written = [&](std::int32_t id) {
    const std::string& token = vocabulary.tokens[static_cast<std::size_t>(id)];
    return is_special(id) ? token : to_alphabet(token);
  };
  std::string added;
  for (const std::int32_t id : vocabulary.special)
    added += fmt::format("{}\n    {}", added.empty() ? "" : ",", added_token(id, written(id)));
  std::string vocab;
  for (std::int32_t id = 0; id < vocabulary_size(); ++id)
    vocab += fmt::format("{}\n      {}: {}", vocab.empty() ? "" : ",", quoted(written(id)), id);
  std::string merges;
  for (const Merge& merge : vocabulary.merges)
    merges += fmt::format("{}\n      [{}, {}]", merges.empty() ? "" : ",", quoted(written(merge.left)),
                          quoted(written(merge.right)));
  return fmt::format(R"({{
  "version": "1.0",
  "truncation": null,
  "padding": null,
  "added_tokens": [{}
  ],
  "normalizer": null,
  "pre_tokenizer": {},
  "post_processor": {},
  "decoder": {},
  "model": {{
    "type": "BPE",
    "dropout": null,
    "unk_token": null,
    "continuing_subword_prefix": null,
    "end_of_word_suffix": null,
    "fuse_unk": false,
    "byte_fallback": false,
    "ignore_merges": false,
    "vocab": {{{}
    }},
    "merges": [{}
    ]
  }}
}}
)",
                     added, kByteLevel, kByteLevel, kByteLevel, vocab, merges);
}

}  // namespace stoa::trainer

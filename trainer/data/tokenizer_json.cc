/// tokenizer.json in Hugging Face's shape, read. Whatever would make their library give other ids than ours is refused.
#include <algorithm>
#include <unordered_map>
#include <unordered_set>

#include "stoa/base/error.h"
#include "stoa/trainer/data/tokenizer_alphabet.h"
#include "stoa/trainer/data/tokenizer_json_events.h"
#include "stoa/trainer/data/tokenizer_stages.h"
#include "stoa/trainer/data/tokenizer_state.h"

namespace stoa::trainer {
namespace {

class Reader {
 public:
  Reader(std::string_view json, std::string_view place) : place_(place), written_(parse_tokenizer_json(json, place)) {}

  Vocabulary read() {
    const Json& model = member(written_.rest, "model");
    check_model(model);
    for (const auto& [token, id] : written_.vocab)
      if (!ids_.emplace(token, id).second) throw DataError("{}: token '{}' stands in 'vocab' twice", place_, token);
    read_added_tokens();
    read_tokens();
    read_stages(written_.rest, place_, vocabulary_);
    read_merges();
    check_alphabet();
    return std::move(vocabulary_);
  }

 private:
  const Json& member(const Json& object, const char* key) const {
    if (!object.is_object()) throw DataError("{}: expected an object with '{}', found {}", place_, key, shown(object));
    const auto found = object.find(key);
    if (found == object.end()) throw DataError("{}: '{}' is missing", place_, key);
    return *found;
  }

  void check_model(const Json& model) {
    if (!model.is_object()) throw DataError("{}: 'model' is {}", place_, shown(model));
    require_json(model, "type", "BPE", "BPE", place_);
    require_json(model, "dropout", nullptr, nullptr, place_);
    require_json(model, "byte_fallback", false, false, place_);
    for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
      if (const auto found = model.find(affix); found != model.end() && !found->is_null())
        require_json(model, affix, "", "", place_);
    vocabulary_.ignore_merges = flag(model, "ignore_merges");
    for (const auto& [key, is_there] : {std::pair("vocab", written_.has_vocab), {"merges", written_.has_merges}})
      if (!is_there) throw DataError("{}: '{}' is {}", place_, key, shown(member(model, key)).substr(0, 20));
  }

  bool flag(const Json& object, const char* key) const {
    const auto found = object.find(key);
    if (found == object.end()) return false;
    if (!found->is_boolean())
      throw DataError("{}: '{}' is {}, but true or false is expected", place_, key, shown(*found));
    return found->get<bool>();
  }

  void read_added_tokens() {
    const Json& added = member(written_.rest, "added_tokens");
    if (!added.is_array()) throw DataError("{}: 'added_tokens' is {}", place_, shown(added));
    std::unordered_set<std::string_view> seen;
    std::int32_t next_id = static_cast<std::int32_t>(ids_.size());
    for (const Json& entry : added) {
      const AddedToken token = read_added_token(entry, next_id);
      next_id += token.is_in_vocabulary ? 0 : 1;
      vocabulary_.added.push_back(token);
    }
    for (const AddedToken& token : vocabulary_.added)
      if (!seen.insert(token.content).second)
        throw DataError("{}: added token '{}' stands there twice", place_, token.content);
    std::sort(vocabulary_.added.begin(), vocabulary_.added.end(),
              [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
    const bool has_end = std::any_of(vocabulary_.added.begin(), vocabulary_.added.end(), [](const AddedToken& token) {
      return token.special && (token.content == kEndOfText || token.content == kLlama3EndOfText);
    });
    if (!has_end)
      throw DataError("{}: 'added_tokens' has no special '{}' or '{}', which ends a document", place_, kEndOfText,
                      kLlama3EndOfText);
  }

  /// Their library numbers tokens that are not in 'vocab' itself, from next_id on.
  AddedToken read_added_token(const Json& entry, std::int32_t next_id) const {
    const Json& content = member(entry, "content");
    if (!content.is_string() || content.get_ref<const std::string&>().empty())
      throw DataError("{}: 'content' of an added token is {}", place_, shown(content));
    AddedToken token{.content = content.get<std::string>(),
                     .single_word = flag(entry, "single_word"),
                     .lstrip = flag(entry, "lstrip"),
                     .rstrip = flag(entry, "rstrip"),
                     .normalized = flag(entry, "normalized"),
                     .special = flag(entry, "special")};
    token.id = token_id(member(entry, "id"), token.content, place_);
    const auto same = ids_.find(token.content);
    token.is_in_vocabulary = same != ids_.end();
    if (token.is_in_vocabulary && same->second != token.id)
      throw DataError("{}: '{}' has id {} in 'added_tokens' and {} in 'vocab'", place_, token.content, token.id,
                      same->second);
    if (!token.is_in_vocabulary && token.id != next_id)
      throw DataError(
          "{}: added token '{}' has id {}, but tokens outside 'vocab' are numbered in their order and this "
          "one is {}",
          place_, token.content, token.id, next_id);
    return token;
  }

  void read_tokens() {
    const auto outside = std::count_if(vocabulary_.added.begin(), vocabulary_.added.end(),
                                       [](const AddedToken& token) { return !token.is_in_vocabulary; });
    vocabulary_.tokens.resize(written_.vocab.size() + static_cast<std::size_t>(outside));
    std::unordered_set<std::string_view> added;
    for (const AddedToken& token : vocabulary_.added) {
      added.insert(token.content);
      if (!token.is_in_vocabulary) put(token.id, token.content, token.content);
    }
    for (const auto& [token, id] : written_.vocab) {
      std::optional<std::string> bytes = from_alphabet(token);
      if (!bytes && added.contains(token)) bytes = token;
      if (!bytes || bytes->empty()) throw DataError("{}: token '{}' is not of the byte alphabet", place_, token);
      put(id, token, std::move(*bytes));
    }
  }

  void put(std::int32_t id, const std::string& token, std::string bytes) {
    if (static_cast<std::size_t>(id) >= vocabulary_.tokens.size())
      throw DataError("{}: token '{}' has id {}, but {} tokens have ids 0 to {}", place_, token, id,
                      vocabulary_.tokens.size(), vocabulary_.tokens.size() - 1);
    std::string& slot = vocabulary_.tokens[static_cast<std::size_t>(id)];
    if (!slot.empty()) throw DataError("{}: token '{}' has id {}, which another one has too", place_, token, id);
    slot = std::move(bytes);
  }

  std::int32_t known(std::string_view token, std::size_t rank) const {
    const auto found = ids_.find(token);
    if (found == ids_.end()) throw DataError("{}: merge {}: '{}' is not in 'vocab'", place_, rank, token);
    return found->second;
  }

  void read_merges() {
    std::unordered_map<std::uint64_t, std::size_t> seen;
    seen.reserve(written_.merges.size());
    vocabulary_.merges.reserve(written_.merges.size());
    for (const auto& [left, right] : written_.merges) {
      const std::size_t rank = vocabulary_.merges.size();
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
  WrittenTokenizer written_;
  Vocabulary vocabulary_;
  std::unordered_map<std::string_view, std::int32_t> ids_;  ///< of 'vocab', whose strings written_ keeps
};

}  // namespace

Tokenizer Tokenizer::parse(std::string_view json, std::string_view place) {
  return Tokenizer(std::make_unique<State>(Reader(json, place).read()));
}

}  // namespace stoa::trainer

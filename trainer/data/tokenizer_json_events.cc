#include "stoa/trainer/data/tokenizer_json_events.h"

#include <limits>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kDeepest = 64;
/// Objects of Json are searched from their begin: with more keys than any tokenizer's stages have that takes for ever.
constexpr std::size_t kMostKeys = 4096;

class Events : public nlohmann::json_sax<Json> {
 public:
  explicit Events(std::string_view place) : place_(place) {}
  WrittenTokenizer take() { return std::move(written_); }

  bool null() override { return value(nullptr); }
  bool boolean(bool is_true) override { return value(is_true); }
  bool number_integer(std::int64_t number) override { return value(number); }
  bool number_unsigned(std::uint64_t number) override { return value(number); }
  bool number_float(double number, const std::string&) override { return value(number); }
  bool binary(Json::binary_t&) override { return true; }

  bool string(std::string& text) override {
    if (inside_ != Inside::kMerges) return value(std::move(text));
    if (!in_pair_) return add_merge_of_string(text);
    pair_.push_back(std::move(text));
    return true;
  }

  bool key(std::string& name) override {
    if (inside_ == Inside::kRest && open_.back()->size() >= kMostKeys)
      throw DataError("{}: an object besides 'vocab' has more than {} keys", place_, kMostKeys);
    if (inside_ == Inside::kRest && open_.size() == 1) top_key_ = name;
    key_ = std::move(name);
    return true;
  }

  bool start_object(std::size_t) override {
    if (inside_ == Inside::kRest && is_in_model("vocab")) {
      inside_ = Inside::kVocab;
      return written_.has_vocab = true;
    }
    return start(Json::object());
  }

  bool end_object() override {
    if (inside_ == Inside::kVocab)
      inside_ = Inside::kRest;
    else
      open_.pop_back();
    return true;
  }

  bool start_array(std::size_t) override {
    if (inside_ == Inside::kRest && is_in_model("merges")) {
      inside_ = Inside::kMerges;
      return written_.has_merges = true;
    }
    if (inside_ != Inside::kMerges || in_pair_) return start(Json::array());
    pair_.clear();
    return in_pair_ = true;
  }

  bool end_array() override {
    if (inside_ == Inside::kRest) {
      open_.pop_back();
    } else if (!in_pair_) {
      inside_ = Inside::kRest;
    } else {
      if (pair_.size() != 2) refuse_merge(Json(pair_));
      written_.merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
      in_pair_ = false;
    }
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception& failure) override {
    const std::string_view what = failure.what();  // "[json.exception.parse_error.101] ..."
    const std::size_t mark = what.find("] ");
    throw DataError("{}: not valid JSON: {}", place_, mark == what.npos ? what : what.substr(mark + 2));
  }

 private:
  enum class Inside { kRest, kVocab, kMerges };

  bool is_in_model(std::string_view name) const {
    return open_.size() == 2 && top_key_ == "model" && key_ == name && open_.back()->is_object();
  }

  [[noreturn]] void refuse_merge(const Json& merge) const {
    throw DataError("{}: merge {} is {}, but \"a b\" or [\"a\", \"b\"] is expected", place_, written_.merges.size(),
                    shown(merge));
  }

  bool value(Json new_value) {
    if (inside_ == Inside::kVocab) {
      const std::int32_t id = token_id(new_value, key_, place_);
      written_.vocab.emplace_back(std::move(key_), id);
    } else if (inside_ == Inside::kMerges) {
      refuse_merge(new_value);
    } else {
      put(std::move(new_value));
    }
    return true;
  }

  bool start(Json container) {
    if (inside_ == Inside::kVocab) token_id(container, key_, place_);
    if (inside_ == Inside::kMerges) refuse_merge(container);
    if (open_.size() == kDeepest) throw DataError("{}: nested deeper than {} levels", place_, kDeepest);
    open_.push_back(put(std::move(container)));
    return true;
  }

  Json* put(Json new_value) {
    if (open_.empty()) return &(written_.rest = std::move(new_value));
    Json& into = *open_.back();
    if (into.is_object()) return &(into[key_] = std::move(new_value));
    into.push_back(std::move(new_value));
    return &into.back();
  }

  /// "a b", as written before 2024.
  bool add_merge_of_string(const std::string& text) {
    const std::size_t space = text.find(' ');
    if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) refuse_merge(text);
    written_.merges.emplace_back(text.substr(0, space), text.substr(space + 1));
    return true;
  }

  std::string_view place_;
  WrittenTokenizer written_;
  std::vector<Json*> open_;  ///< Containers of `rest` from the root on. A parent does not grow while its child is open.
  std::string top_key_;
  std::string key_;
  Inside inside_ = Inside::kRest;
  bool in_pair_ = false;
  std::vector<std::string> pair_;
};

}  // namespace

WrittenTokenizer parse_tokenizer_json(std::string_view json, std::string_view place) {
  Events events(place);
  Json::sax_parse(json, &events);
  return events.take();
}

std::string shown(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace).substr(0, 80);
}

std::int32_t token_id(const Json& value, std::string_view token, std::string_view place) {
  if (!value.is_number_unsigned() ||
      value.get<std::uint64_t>() >= std::uint64_t{std::numeric_limits<std::int32_t>::max()})
    throw DataError("{}: the id of '{}' is {}", place, token, shown(value));
  return value.get<std::int32_t>();
}

}  // namespace stoa::trainer

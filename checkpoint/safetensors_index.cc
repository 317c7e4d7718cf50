#include "stoa/checkpoint/safetensors_index.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "stoa/base/error.h"

namespace stoa::checkpoint {
namespace {

/// Of an index: its own two levels, and room for what its metadata may hold.
constexpr int kDeepest = 16;

class IndexEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit IndexEvents(std::string_view place) : place_(place) {}

  std::map<std::string, std::set<std::string>> take() {
    if (!has_map_) throw DataError("{}: 'weight_map' is missing", place_);
    return std::move(files_);
  }

  bool null() override { return other(); }
  bool boolean(bool) override { return other(); }
  bool number_integer(number_integer_t) override { return other(); }
  bool number_unsigned(number_unsigned_t) override { return other(); }
  bool number_float(number_float_t, const string_t&) override { return other(); }
  bool binary(binary_t&) override { return other(); }
  bool string(string_t& file) override {
    if (!in_map_) return other();
    if (file.empty() || file.find('/') != std::string::npos || file[0] == '.')
      throw DataError("{}: '{}' is not a file beside the index", place_, file.substr(0, 80));
    if (!seen_.insert(key_).second) throw DataError("{}: tensor '{}' stands there twice", place_, key_.substr(0, 80));
    files_[file].insert(key_);
    return true;
  }
  bool start_object(std::size_t) override {
    deeper();
    if (depth_ == 2 && key_ == "weight_map") {
      if (has_map_) throw DataError("{}: a second 'weight_map'", place_);
      in_map_ = has_map_ = true;
    }
    return true;
  }
  bool key(string_t& text) override {
    key_ = std::move(text);
    return true;
  }
  bool end_object() override {
    in_map_ = false;
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override {
    deeper();
    return true;
  }
  bool end_array() override {
    --depth_;
    return true;
  }
  bool parse_error(std::size_t byte, const std::string&, const nlohmann::detail::exception&) override {
    throw DataError("{}: not valid JSON at byte {}", place_, byte);
  }

 private:
  void deeper() {
    if (in_map_) throw DataError("{}: the file of tensor '{}' is no name", place_, key_.substr(0, 80));
    if (++depth_ > kDeepest) throw DataError("{}: nested deeper than {} levels", place_, kDeepest);
  }
  bool other() const {
    if (in_map_) throw DataError("{}: the file of tensor '{}' is no name", place_, key_.substr(0, 80));
    return true;
  }

  std::string_view place_;
  std::map<std::string, std::set<std::string>> files_;
  std::set<std::string> seen_;
  std::string key_;
  int depth_ = 0;
  bool in_map_ = false;
  bool has_map_ = false;
};

}  // namespace

std::vector<SafetensorsShard> cut_into_shards(std::vector<SafetensorsEntry> entries, std::int64_t most_bytes) {
  std::vector<SafetensorsShard> shards;
  SafetensorsShard current;
  std::int64_t filled = 0;
  for (SafetensorsEntry& entry : entries) {
    const std::int64_t bytes = entry.elements() * safetensors_dtype_bits(entry.dtype) / 8;
    if (bytes > most_bytes) {
      shards.push_back({"", {std::move(entry)}});
      continue;
    }
    if (filled + bytes > most_bytes) {
      shards.push_back(std::move(current));
      current = {};
      filled = 0;
    }
    current.entries.push_back(std::move(entry));
    filled += bytes;
  }
  if (!current.entries.empty()) shards.push_back(std::move(current));
  for (std::size_t i = 0; i < shards.size(); ++i)
    shards[i].file = shards.size() == 1 ? "model.safetensors"
                                        : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
  return shards;
}

Json safetensors_index(std::span<const SafetensorsShard> shards) {
  Json map = Json::object();
  std::int64_t bytes = 0, parameters = 0;
  for (const SafetensorsShard& shard : shards)
    for (const SafetensorsEntry& entry : shard.entries) {
      map[entry.name] = shard.file;
      parameters += entry.elements();
      bytes += entry.elements() * safetensors_dtype_bits(entry.dtype) / 8;
    }
  return {{"metadata", {{"total_parameters", parameters}, {"total_size", bytes}}}, {"weight_map", std::move(map)}};
}

std::map<std::string, std::set<std::string>> parse_safetensors_index(std::string_view text, std::string_view place) {
  IndexEvents events(place);
  nlohmann::json::sax_parse(text, &events);
  return events.take();
}

}  // namespace stoa::checkpoint

#include "stoa/checkpoint/safetensors_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/checkpoint/tensor_json.h"

namespace stoa::checkpoint {
namespace {

constexpr std::string_view kMetadata = "__metadata__";
constexpr std::int64_t kDataAlignment = 4096;

struct DtypeBits {
  std::string_view name;
  std::int64_t bits;
};
constexpr DtypeBits kDtypes[] = {{"BOOL", 8},    {"U8", 8},          {"I8", 8},          {"F8_E5M2", 8}, {"F8_E4M3", 8},
                                 {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"F4", 4},      {"F6_E2M3", 6},
                                 {"F6_E3M2", 6}, {"I16", 16},        {"U16", 16},        {"F16", 16},    {"BF16", 16},
                                 {"I32", 32},    {"U32", 32},        {"F32", 32},        {"C64", 64},    {"F64", 64},
                                 {"I64", 64},    {"U64", 64}};

std::string cut(std::string_view text) { return std::string(text.substr(0, 80)); }

/// One document as events. Depth 1 is the header's object, 2 a tensor or the metadata, 3 a list of a tensor.
class HeaderEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit HeaderEvents(std::string_view place) : place_(place) {}

  std::vector<SafetensorsEntry> take() { return std::move(entries_); }

  bool null() override { return value("null"); }
  bool boolean(bool) override { return value("true or false"); }
  bool number_integer(number_integer_t number) override {
    throw DataError("{}: {}: {} in '{}' is below zero", place_, tensor(), number, key_);
  }
  bool number_unsigned(number_unsigned_t number) override {
    if (depth_ != 3) return value("a number");
    if (number > std::uint64_t{std::numeric_limits<std::int64_t>::max()})
      throw DataError("{}: {}: {} in '{}' is beyond 63 bits", place_, tensor(), number, key_);
    if (list_.size() == kMostDims)
      throw DataError("{}: {}: '{}' has more than {} numbers", place_, tensor(), key_, kMostDims);
    list_.push_back(static_cast<std::int64_t>(number));
    return true;
  }
  bool number_float(number_float_t, const string_t&) override { return value("a number that is not whole"); }
  bool binary(binary_t&) override { return value("binary data"); }
  bool string(string_t& text) override {
    if (in_metadata_) return true;
    if (depth_ != 2 || key_ != "dtype") return value("a string");
    if (safetensors_dtype_bits(text) == 0)
      throw DataError("{}: {}: dtype '{}' is not one of the format", place_, tensor(), cut(text));
    entries_.back().dtype = text;
    return true;
  }

  bool start_object(std::size_t) override {
    if (depth_ == 0) {
      depth_ = 1;
      return true;
    }
    if (depth_ != 1) return value("an object");
    depth_ = 2;
    in_metadata_ = entry_name_ == kMetadata;
    if (!in_metadata_) {
      entries_.emplace_back().name = std::move(entry_name_);
      has_shape_ = has_offsets_ = false;
    }
    return true;
  }
  bool key(string_t& text) override {
    if (depth_ == 1) {
      entry_name_ = std::move(text);
    } else {
      key_ = cut(text);
      if (in_metadata_) return true;
      const bool known = key_ == "dtype" || key_ == "shape" || key_ == "data_offsets";
      const bool again = (key_ == "dtype" && !entries_.back().dtype.empty()) || (key_ == "shape" && has_shape_) ||
                         (key_ == "data_offsets" && has_offsets_);
      if (!known || again)
        throw DataError("{}: {}: {} key '{}'", place_, tensor(), again ? "a second" : "the unknown", key_);
    }
    return true;
  }
  bool end_object() override {
    if (depth_ == 2 && !in_metadata_) finish_tensor();
    in_metadata_ = false;
    --depth_;
    return true;
  }
  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || (key_ != "shape" && key_ != "data_offsets")) return value("a list");
    depth_ = 3;
    list_.clear();
    return true;
  }
  bool end_array() override {
    depth_ = 2;
    if (key_ == "shape") {
      entries_.back().shape = list_;
      has_shape_ = true;
      return true;
    }
    if (list_.size() != 2 || list_[0] > list_[1])
      throw DataError("{}: {}: data_offsets are not a begin and an end", place_, tensor());
    entries_.back().begin = list_[0];
    entries_.back().bytes = list_[1] - list_[0];
    has_offsets_ = true;
    return true;
  }
  bool parse_error(std::size_t byte, const std::string&, const nlohmann::detail::exception&) override {
    throw DataError("{}: the header is not valid JSON at byte {}", place_, byte);
  }

 private:
  std::string tensor() const {
    if (in_metadata_) return std::string(kMetadata);
    return entries_.empty() ? "the header" : fmt::format("tensor '{}'", cut(entries_.back().name));
  }

  /// Anything that has no place where it stands.
  bool value(const char* what) const {
    if (depth_ == 0) throw DataError("{}: the header is {}, not an object", place_, what);
    if (depth_ == 1) throw DataError("{}: '{}' is {}, not an object", place_, cut(entry_name_), what);
    throw DataError("{}: {}: {} stands in '{}'", place_, tensor(), what, key_);
  }

  void finish_tensor() {
    const SafetensorsEntry& entry = entries_.back();
    for (const char* missing :
         {entry.dtype.empty() ? "dtype" : "", has_shape_ ? "" : "shape", has_offsets_ ? "" : "data_offsets"})
      if (*missing != '\0') throw DataError("{}: {}: '{}' is missing", place_, tensor(), missing);
  }

  std::string_view place_;
  std::vector<SafetensorsEntry> entries_;
  std::string entry_name_;
  std::string key_;
  std::vector<std::int64_t> list_;
  int depth_ = 0;
  bool in_metadata_ = false;
  bool has_shape_ = false;
  bool has_offsets_ = false;
};

/// Product of the shape in bits of dtype, as whole bytes; nothing where it does not fit or is no whole number of them.
std::optional<std::int64_t> bytes_of(const SafetensorsEntry& entry) {
  std::int64_t bits = safetensors_dtype_bits(entry.dtype);
  for (const std::int64_t extent : entry.shape)
    if (__builtin_mul_overflow(bits, extent, &bits)) return std::nullopt;
  if (bits % 8 != 0) return std::nullopt;
  return bits / 8;
}

void check_layout(const std::vector<SafetensorsEntry>& entries, std::int64_t data_bytes, std::string_view place) {
  std::int64_t end = 0;
  std::unordered_set<std::string_view> names;
  for (const SafetensorsEntry& entry : entries) {
    const std::string name = cut(entry.name);
    if (!names.insert(entry.name).second) throw DataError("{}: tensor '{}' stands there twice", place, name);
    if (entry.begin != end)
      throw DataError("{}: tensor '{}' begins at byte {} of the data, but the one before it ends at {}: {}", place,
                      name, entry.begin, end, entry.begin < end ? "they overlap" : "there is a hole");
    const std::optional<std::int64_t> expected = bytes_of(entry);
    if (!expected || *expected != entry.bytes)
      throw DataError("{}: tensor '{}': {} of shape {} is {} bytes, but data_offsets give it {}", place, name,
                      entry.dtype, describe_shape(entry.shape),
                      expected ? fmt::format("{}", *expected) : "no number of", entry.bytes);
    end = entry.begin + entry.bytes;
  }
  if (end != data_bytes)
    throw DataError("{}: the tensors fill {} bytes, but {} bytes of data follow the header", place, end, data_bytes);
}

}  // namespace

std::int64_t SafetensorsEntry::elements() const {
  std::int64_t count = 1;
  for (const std::int64_t extent : shape) count *= extent;
  return count;
}

std::int64_t safetensors_dtype_bits(std::string_view dtype) {
  for (const DtypeBits& known : kDtypes)
    if (known.name == dtype) return known.bits;
  return 0;
}

std::vector<SafetensorsEntry> parse_safetensors_header(std::string_view json, std::int64_t data_bytes,
                                                       std::string_view place) {
  if (!json.starts_with('{')) throw DataError("{}: the header does not begin with '{{'", place);
  HeaderEvents events(place);
  nlohmann::json::sax_parse(json, &events);
  std::vector<SafetensorsEntry> entries = events.take();
  std::stable_sort(entries.begin(), entries.end(), [](const SafetensorsEntry& a, const SafetensorsEntry& b) {
    return std::pair(a.begin, a.bytes) < std::pair(b.begin, b.bytes);
  });
  check_layout(entries, data_bytes, place);
  return entries;
}

std::string format_safetensors_header(std::vector<SafetensorsEntry>& entries) {
  // "pt" is what transformers asks of a file before it reads it.
  std::string json = R"({"__metadata__":{"format":"pt"})";
  std::int64_t end = 0;
  for (SafetensorsEntry& entry : entries) {
    entry.begin = end;
    entry.bytes = bytes_of(entry).value();
    end += entry.bytes;
    json += fmt::format(R"(,{}:{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})", Json(entry.name).dump(),
                        entry.dtype, Json(entry.shape).dump(), entry.begin, end);
  }
  json += "}";
  const auto unpadded = static_cast<std::int64_t>(json.size()) + 8;
  json.append(static_cast<std::size_t>((kDataAlignment - unpadded % kDataAlignment) % kDataAlignment), ' ');
  std::string bytes;
  for (std::size_t i = 0; i < 8; ++i) bytes += static_cast<char>(json.size() >> (8 * i) & 0xffU);
  return bytes + json;
}

}  // namespace stoa::checkpoint

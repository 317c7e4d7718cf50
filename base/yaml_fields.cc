#include "stoa/base/yaml_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>

#include "stoa/base/error.h"

namespace stoa {
namespace {

constexpr std::size_t kMostShown = 60;
constexpr std::size_t kMostItems = 1000;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

/// The parts of "-12.50e+3": digits without the point, and where the point stands. Nothing for any other text ("0x1F",
/// "1_000",
/// ".5", "inf", "007").
struct Decimal {
  bool negative = false;
  bool has_point = false;
  bool has_exponent = false;
  std::string digits;
  int exponent = 0;  ///< the value is digits x 10^exponent
};

std::optional<Decimal> decimal(std::string_view text) {
  Decimal number;
  const auto take_digits = [&] {
    const auto end = std::find_if_not(text.begin(), text.end(), is_digit);
    const std::string_view digits = text.substr(0, static_cast<std::size_t>(end - text.begin()));
    text.remove_prefix(digits.size());
    return digits;
  };
  const auto take_sign = [&] {
    const bool minus = text.starts_with('-');
    if (minus || text.starts_with('+')) text.remove_prefix(1);
    return minus;
  };
  number.negative = take_sign();
  const std::string_view whole = take_digits();
  if (whole.empty() || (whole.size() > 1 && whole[0] == '0')) return std::nullopt;
  number.digits = whole;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    const std::string_view fraction = take_digits();
    if (fraction.empty()) return std::nullopt;
    number.digits += fraction;
    number.has_point = true;
    number.exponent = -static_cast<int>(fraction.size());
  }
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    const bool minus = take_sign();
    const std::string_view digits = take_digits();
    if (digits.empty() || digits.size() > 4) return std::nullopt;
    int exponent = 0;
    std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    number.exponent += minus ? -exponent : exponent;
    number.has_exponent = true;
  }
  if (!text.empty() || number.digits.size() > 400) return std::nullopt;
  return number;
}

/// The magnitude of a number that is whole; "1.5e3" is, "1.5" and "1.0" are not.
std::optional<std::uint64_t> magnitude(const Decimal& number) {
  if (number.has_point && !number.has_exponent) return std::nullopt;
  std::string digits = number.digits;
  int exponent = number.exponent;
  for (; exponent < 0 && digits.size() > 1 && digits.back() == '0'; ++exponent) digits.pop_back();
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size() - 1));
  if (digits == "0") return 0;
  if (exponent < 0 || exponent > 20) return std::nullopt;
  digits.append(static_cast<std::size_t>(exponent), '0');
  std::uint64_t value = 0;
  const auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (failure != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

bool plain(const YamlNode& node) { return node.kind == YamlNode::Kind::kScalar && !node.quoted; }

std::optional<std::uint64_t> unsigned_number(const YamlNode& node) {
  if (!plain(node)) return std::nullopt;
  const std::optional<Decimal> number = decimal(node.text);
  if (!number || number->negative) return std::nullopt;
  return magnitude(*number);
}

std::optional<std::int64_t> whole_number(const YamlNode& node) {
  if (!plain(node)) return std::nullopt;
  const std::optional<Decimal> number = decimal(node.text);
  if (!number) return std::nullopt;
  const std::optional<std::uint64_t> size = magnitude(*number);
  constexpr auto kMost = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
  if (!size || *size > kMost + (number->negative ? 1 : 0)) return std::nullopt;
  return number->negative ? static_cast<std::int64_t>(0 - *size) : static_cast<std::int64_t>(*size);
}

std::optional<double> real_number(const YamlNode& node) {
  if (!plain(node) || !decimal(node.text)) return std::nullopt;
  std::string_view text = node.text;
  if (text.starts_with('+')) text.remove_prefix(1);
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<bool> truth(const YamlNode& node) {
  if (plain(node) && node.text == "true") return true;
  if (plain(node) && node.text == "false") return false;
  return std::nullopt;
}

std::string expected_whole(const WholeRange& range) {
  if (range.most == std::numeric_limits<std::int64_t>::max())
    return fmt::format("a whole number, at least {}", range.least);
  return fmt::format("a whole number from {} to {}", range.least, range.most);
}

std::string expected_real(const RealRange& range) {
  const char* low = range.low == RealRange::End::kOpen ? "above" : "at least";
  if (range.most == std::numeric_limits<double>::max()) return fmt::format("a number {} {}", low, range.least);
  const char* high = range.high == RealRange::End::kOpen ? "below" : "at most";
  return fmt::format("a number {} {} and {} {}", low, range.least, high, range.most);
}

std::string expected_name(std::span<const std::string_view> names) {
  if (names.size() == 1) return std::string(names[0]);
  return fmt::format("{} or {}", fmt::join(names.first(names.size() - 1), ", "), names.back());
}

std::string found(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNothing:
      return "nothing";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a section";
    case YamlNode::Kind::kScalar:
      break;
  }
  std::string shown = node.text;
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  if (shown.size() > kMostShown) shown = shown.substr(0, kMostShown) + "...";
  return node.quoted ? "the string \"" + shown + "\"" : shown;
}

}  // namespace

void YamlFields::field(const char* key, int& value, const WholeRange& range) {
  std::int64_t wide = value;
  field(key, wide,
        WholeRange{.least = range.least, .most = std::min<std::int64_t>(range.most, std::numeric_limits<int>::max())});
  value = static_cast<int>(wide);
}

YamlReader::YamlReader(const YamlFile& file) {
  sections_.push_back({.node = &file.root(), .place = file.root().place, .path = "", .keys = {}});
}

const YamlNode* YamlReader::take(const char* key, const std::string& expected) {
  Section& section = sections_.back();
  section.keys.emplace_back(key);
  known_.push_back({.path = section.path + key, .expected = expected});
  return section.node == nullptr ? nullptr : section.node->find(key);
}

void YamlReader::missing(const char* key, const std::string& expected) {
  const Section& section = sections_.back();
  if (first_wrong_.empty())
    first_wrong_ = fmt::format("{}: {}{} is missing: expected {}", section.place, section.path, key, expected);
}

void YamlReader::wrong(const YamlNode& node, const char* key, const std::string& expected) {
  if (first_wrong_.empty())
    first_wrong_ =
        fmt::format("{}: {}{}: expected {}, found {}", node.place, sections_.back().path, key, expected, found(node));
}

void YamlReader::field(const char* key, std::int64_t& value, const WholeRange& range) {
  const std::string expected = expected_whole(range);
  const YamlNode* node = take(key, expected);
  if (node == nullptr) return range.holds(value) ? void() : missing(key, expected);
  const std::optional<std::int64_t> number = whole_number(*node);
  if (!number || !range.holds(*number)) return wrong(*node, key, expected);
  value = *number;
}

void YamlReader::field(const char* key, std::uint64_t& value) {
  const std::string expected = "a whole number, at least 0";
  const YamlNode* node = take(key, expected);
  if (node == nullptr) return;
  const std::optional<std::uint64_t> number = unsigned_number(*node);
  if (!number) return wrong(*node, key, expected);
  value = *number;
}

void YamlReader::field(const char* key, double& value, const RealRange& range) {
  const std::string expected = expected_real(range);
  const YamlNode* node = take(key, expected);
  if (node == nullptr) return range.holds(value) ? void() : missing(key, expected);
  const std::optional<double> number = real_number(*node);
  if (!number || !range.holds(*number)) return wrong(*node, key, expected);
  value = *number;
}

void YamlReader::field(const char* key, bool& value) {
  std::optional<bool> given = value;
  field(key, given);
  value = *given;
}

void YamlReader::field(const char* key, std::optional<bool>& value) {
  const YamlNode* node = take(key, "true or false");
  if (node == nullptr) return;
  const std::optional<bool> given = truth(*node);
  if (!given) return wrong(*node, key, "true or false");
  value = given;
}

void YamlReader::field(const char* key, std::string& value, Presence presence) {
  const bool required = presence == Presence::kRequired;
  const char* expected = required ? "text" : "text (may be empty)";
  const YamlNode* node = take(key, expected);
  if (node == nullptr) return required && value.empty() ? missing(key, expected) : void();
  if (node->kind != YamlNode::Kind::kScalar || (required && node->text.empty())) return wrong(*node, key, expected);
  value = node->text;
}

void YamlReader::field(const char* key, std::vector<std::string>& value) {
  const char* expected = "a list of texts";
  const YamlNode* node = take(key, expected);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::kList) return wrong(*node, key, expected);
  std::vector<std::string> texts;
  for (const YamlNode& item : node->items) {
    if (item.kind != YamlNode::Kind::kScalar || item.text.empty()) return wrong(item, key, expected);
    texts.push_back(item.text);
  }
  value = std::move(texts);
}

void YamlReader::field(const char* key, std::vector<std::int64_t>& value, const WholeRange& range) {
  const std::string expected = fmt::format("a list, each of it {}", expected_whole(range));
  const YamlNode* node = take(key, expected);
  if (node == nullptr) return;
  if (node->kind != YamlNode::Kind::kList) return wrong(*node, key, expected);
  std::vector<std::int64_t> numbers;
  for (const YamlNode& item : node->items) {
    const std::optional<std::int64_t> number = whole_number(item);
    if (!number || !range.holds(*number)) return wrong(item, key, expected);
    numbers.push_back(*number);
  }
  value = std::move(numbers);
}

void YamlReader::name(const char* key, std::size_t& chosen, std::span<const std::string_view> names) {
  const std::string expected = expected_name(names);
  const YamlNode* node = take(key, expected);
  if (node == nullptr) return;
  const auto at = std::find(names.begin(), names.end(), std::string_view(node->text));
  if (node->kind != YamlNode::Kind::kScalar || at == names.end()) return wrong(*node, key, expected);
  chosen = static_cast<std::size_t>(at - names.begin());
}

void YamlReader::begin_section(const char* key) {
  const YamlNode* node = take(key, "a section");
  const Section& parent = sections_.back();
  std::string place = parent.place;
  if (node != nullptr) {
    for (const YamlEntry& entry : parent.node->entries)
      if (&entry.value == node) place = entry.place;
    if (node->kind != YamlNode::Kind::kMap) {
      if (node->kind != YamlNode::Kind::kNothing) wrong(*node, key, "a section");
      node = nullptr;
    }
  }
  sections_.push_back({.node = node, .place = place, .path = parent.path + key + ".", .keys = {}});
}

void YamlReader::end_section() {
  const Section& section = sections_.back();
  if (section.node != nullptr) {
    for (const YamlEntry& entry : section.node->entries)
      if (std::find(section.keys.begin(), section.keys.end(), entry.key) == section.keys.end())
        unknown_.push_back({.place = entry.place, .path = section.path, .key = entry.key, .siblings = section.keys});
  }
  sections_.pop_back();
}

std::size_t YamlReader::begin_list(const char* key, std::size_t count) {
  const std::string expected = fmt::format("a list of at most {} sections", kMostItems);
  const YamlNode* node = take(key, expected);
  if (node == nullptr) {
    lists_.push_back({.node = nullptr, .key = key});
    return count;
  }
  const bool usable = node->kind == YamlNode::Kind::kList && node->items.size() <= kMostItems;
  if (!usable) wrong(*node, key, expected);
  lists_.push_back({.node = usable ? node : nullptr, .key = key});
  return usable ? node->items.size() : 0;
}

void YamlReader::begin_item(std::size_t index) {
  const List& list = lists_.back();
  const Section& parent = sections_.back();
  Section item{.node = nullptr, .place = parent.place, .path = "", .keys = {}};
  item.path = fmt::format("{}{}[{}].", parent.path, list.key, index);
  if (list.node != nullptr) {
    const YamlNode& node = list.node->items[index];
    item.place = node.place;
    if (node.kind == YamlNode::Kind::kMap)
      item.node = &node;
    else
      wrong(node, fmt::format("{}[{}]", list.key, index).c_str(), "a section");
  }
  sections_.push_back(std::move(item));
}

std::string YamlReader::unknown_message(const Unknown& unknown) const {
  const std::string message =
      fmt::format("{}: unknown key '{}{}'", unknown.place, unknown.path, unknown.key.substr(0, kMostShown));
  const auto expectation = [&](std::string_view path) {
    return std::find_if(known_.begin(), known_.end(), [&](const Key& key) { return key.path == path; })->expected;
  };
  if (const auto near = nearest_word(unknown.key, unknown.siblings))
    return fmt::format("{}; did you mean '{}' ({})?", message, *near, expectation(unknown.path + std::string(*near)));
  for (const Key& key : known_)
    if (key.path.ends_with("." + unknown.key))
      return fmt::format("{}; did you mean '{}' ({})?", message, key.path, key.expected);
  return fmt::format("{}; known here: {}", message, fmt::join(unknown.siblings, ", "));
}

void YamlReader::finish() {
  end_section();
  // A misspelt section explains what is missing in it, so the file's own keys come before those of its sections.
  const auto own = std::find_if(unknown_.begin(), unknown_.end(), [](const Unknown& key) { return key.path.empty(); });
  if (own != unknown_.end()) throw ConfigError("{}", unknown_message(*own));
  if (!unknown_.empty()) throw ConfigError("{}", unknown_message(unknown_.front()));
  if (!first_wrong_.empty()) throw ConfigError("{}", first_wrong_);
}

std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> above(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(above.begin(), above.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(above);
    above.swap(row);
  }
  return above[b.size()];
}

std::optional<std::string_view> nearest_word(std::string_view word, std::span<const std::string> known) {
  std::optional<std::string_view> nearest;
  if (word.size() > 64) return nearest;
  std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : known) {
    const std::size_t distance = edit_distance(word, candidate);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest;
}

}  // namespace stoa

#include "stoa/base/yaml_file.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <charconv>
#include <sstream>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"

namespace stoa {
namespace {

constexpr std::size_t kMostBytes = 1 << 20;
constexpr std::size_t kDeepest = 16;
constexpr std::size_t kMostKeys = 1000;

/// Gives a place its text: in a file every line and column, on the command line the same for all.
class Places {
 public:
  enum class Kind { kLines, kWhole };
  Places(std::string_view name, Kind kind) : name_(name), kind_(kind) {}
  std::string at(int line, int column) const {
    if (kind_ == Kind::kWhole || line < 0) return name_;
    return fmt::format("{}:{}:{}", name_, line + 1, column + 1);
  }
  std::string at(const YAML::Mark& mark) const { return at(mark.line, mark.column); }

 private:
  std::string name_;
  Kind kind_;
};

/// Length of the UTF-8 sequence at the start of `text`, or 0 where there is none that YAML allows.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const auto follows = [&](std::size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  const unsigned first = byte(0);
  if (first < 0x20) return first == '\n' || first == '\r' || first == '\t' ? 1 : 0;
  if (first < 0x7F) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    const bool overlong = first == 0xE0 && byte(1) < 0xA0;
    const bool surrogate = first == 0xED && byte(1) >= 0xA0;
    return follows(1) && follows(2) && !overlong && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    const bool outside = (first == 0xF0 && byte(1) < 0x90) || (first == 0xF4 && byte(1) >= 0x90);
    return follows(1) && follows(2) && follows(3) && !outside ? 4 : 0;
  }
  return 0;
}

/// Refuses what the parser behind would guess about: other encodings, control characters, tabs that look like
/// indentation.
void check_characters(std::string_view text, const Places& places) {
  int line = 0;
  int column = 0;
  bool indenting = true;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0)
      throw ConfigError("{}: byte 0x{:02x} is not text (UTF-8 is expected)", places.at(line, column),
                        static_cast<unsigned char>(text[0]));
    if (text[0] == '\t' && indenting)
      throw ConfigError("{}: a tab indents this line; YAML is indented with spaces", places.at(line, column));
    indenting = indenting && text[0] == ' ';
    ++column;
    if (text[0] == '\n') {
      ++line;
      column = 0;
      indenting = true;
    }
    text.remove_prefix(length);
  }
}

/// Builds the tree from the parser's events; refuses what the subset leaves out.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(const Places& places) : places_(places) {}

  YamlNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (started_) throw ConfigError("{}: a second document begins; one is expected", places_.at(mark));
    started_ = true;
    root_.place = places_.at(mark);
  }
  void OnDocumentEnd() override {}
  void OnAnchor(const YAML::Mark& mark, const std::string& name) override {
    throw ConfigError("{}: anchor &{}: anchors and aliases are not read", places_.at(mark), name);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw ConfigError("{}: anchors and aliases are not read", places_.at(mark));
  }
  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override { add(mark, YamlNode::Kind::kNothing); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, const std::string& value) override {
    refuse_tag(mark, tag);
    if (expects_key()) return begin_entry(mark, value);
    YamlNode& node = add(mark, YamlNode::Kind::kScalar);
    node.text = value;
    node.quoted = tag == "!";
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t,
                       YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(add(mark, YamlNode::Kind::kList), mark);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t, YAML::EmitterStyle::value) override {
    refuse_tag(mark, tag);
    open(add(mark, YamlNode::Kind::kMap), mark);
  }
  void OnMapEnd() override { close(); }

 private:
  /// A map or list whose end has not come. Pointers stay good: a parent's vector does not grow while a child is open.
  struct Open {
    YamlNode* node;
    bool has_key = false;
  };

  void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!")
      throw ConfigError("{}: tag {}: tags are not read", places_.at(mark), tag);
  }

  bool expects_key() const {
    return !open_.empty() && open_.back().node->kind == YamlNode::Kind::kMap && !open_.back().has_key;
  }

  void begin_entry(const YAML::Mark& mark, const std::string& key) {
    YamlNode& map = *open_.back().node;
    const auto same =
        std::find_if(map.entries.begin(), map.entries.end(), [&](const YamlEntry& e) { return e.key == key; });
    if (same != map.entries.end())
      throw ConfigError("{}: key '{}' stands here a second time; the first is at {}", places_.at(mark), key,
                        same->place);
    if (map.entries.size() == kMostKeys)
      throw ConfigError("{}: more than {} keys in one map", places_.at(mark), kMostKeys);
    map.entries.push_back({.key = key, .place = places_.at(mark), .value = {}});
    open_.back().has_key = true;
  }

  YamlNode& add(const YAML::Mark& mark, YamlNode::Kind kind) {
    if (expects_key()) throw ConfigError("{}: a key must be a word", places_.at(mark));
    YamlNode* node = &root_;
    if (!open_.empty()) {
      YamlNode& parent = *open_.back().node;
      node = parent.kind == YamlNode::Kind::kMap ? &parent.entries.back().value : &parent.items.emplace_back();
      open_.back().has_key = false;
    }
    node->kind = kind;
    node->place = places_.at(mark);
    // An absent value has the mark of whatever comes next: its key is the better place.
    if (kind == YamlNode::Kind::kNothing && !open_.empty() && open_.back().node->kind == YamlNode::Kind::kMap)
      node->place = open_.back().node->entries.back().place;
    return *node;
  }

  void open(YamlNode& node, const YAML::Mark& mark) {
    if (open_.size() == kDeepest) throw ConfigError("{}: nested deeper than {} levels", places_.at(mark), kDeepest);
    open_.push_back({.node = &node});
  }
  void close() { open_.pop_back(); }

  const Places& places_;
  YamlNode root_;
  std::vector<Open> open_;
  bool started_ = false;
};

YamlNode parse_tree(std::string_view text, const Places& places) {
  if (text.size() > kMostBytes)
    throw ConfigError("{}: {} bytes; a settings file has at most {}", places.at(0, 0), text.size(), kMostBytes);
  check_characters(text, places);
  std::istringstream stream{std::string(text)};
  TreeBuilder builder(places);
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& failure) {
    throw ConfigError("{}: not valid YAML: {}", places.at(failure.mark), failure.msg);
  }
  return builder.take();
}

/// The value under "heads", or item 2 of the list under "wheels[2]"; null where there is none.
const YamlNode* step(const YamlNode& map, std::string_view key) {
  const std::size_t bracket = key.find('[');
  const YamlNode* node = map.find(key.substr(0, bracket));
  if (node == nullptr || bracket == std::string_view::npos) return node;
  std::size_t index = 0;
  std::from_chars(key.data() + bracket + 1, key.data() + key.size(), index);
  return index < node->items.size() ? &node->items[index] : node;
}

}  // namespace

const YamlNode* YamlNode::find(std::string_view key) const {
  for (const YamlEntry& entry : entries)
    if (entry.key == key) return &entry.value;
  return nullptr;
}

YamlFile YamlFile::read(const std::filesystem::path& path) {
  std::error_code failure;
  const auto size = std::filesystem::file_size(path, failure);
  if (failure) throw ConfigError("{}: cannot be read: {}", path.string(), failure.message());
  if (size > kMostBytes)
    throw ConfigError("{}: {} bytes; a settings file has at most {}", path.string(), size, kMostBytes);
  return parse(read_text_file(path), path.string());
}

YamlFile YamlFile::parse(std::string_view text, std::string_view name) {
  YamlFile file;
  const Places places(name, Places::Kind::kLines);
  file.root_ = parse_tree(text, places);
  if (file.root_.place.empty()) file.root_.place = places.at(0, 0);
  if (file.root_.kind == YamlNode::Kind::kNothing) file.root_.kind = YamlNode::Kind::kMap;
  if (file.root_.kind != YamlNode::Kind::kMap) throw ConfigError("{}: expected 'key: value' lines", file.root_.place);
  return file;
}

void YamlFile::set(std::string_view assignment) {
  const Places places(fmt::format("command line: {}", assignment), Places::Kind::kWhole);
  const std::size_t equals = assignment.find('=');
  if (equals == std::string_view::npos || equals == 0)
    throw ConfigError("{}: expected key.path=value, for instance training.steps=100", places.at(0, 0));
  std::string_view path = assignment.substr(0, equals);
  YamlNode* node = &root_;
  for (;;) {
    const std::size_t dot = path.find('.');
    const std::string_view key = path.substr(0, dot);
    if (key.empty()) throw ConfigError("{}: an empty name in the path of keys", places.at(0, 0));
    auto entry =
        std::find_if(node->entries.begin(), node->entries.end(), [&](const YamlEntry& e) { return e.key == key; });
    if (entry == node->entries.end())
      entry = node->entries.insert(entry, {.key = std::string(key), .place = places.at(0, 0), .value = {}});
    node = &entry->value;
    if (dot == std::string_view::npos) {
      entry->place = places.at(0, 0);
      break;
    }
    if (node->kind == YamlNode::Kind::kNothing) {
      node->kind = YamlNode::Kind::kMap;
      node->place = places.at(0, 0);
    }
    if (node->kind != YamlNode::Kind::kMap)
      throw ConfigError("{}: '{}' is a value, not a section ({})", places.at(0, 0), key, node->place);
    path.remove_prefix(dot + 1);
  }
  *node = parse_tree(assignment.substr(equals + 1), places);
  if (node->place.empty()) node->place = places.at(0, 0);
}

const std::string& YamlFile::place(std::string_view key_path) const {
  const YamlNode* node = &root_;
  while (!key_path.empty()) {
    const std::size_t dot = key_path.find('.');
    const YamlNode* next = step(*node, key_path.substr(0, dot));
    if (next == nullptr) break;
    node = next;
    key_path.remove_prefix(dot == std::string_view::npos ? key_path.size() : dot + 1);
  }
  return node->place;
}

}  // namespace stoa

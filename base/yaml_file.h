#pragma once
/// A YAML file as a tree of values that know their place. A strict subset is read: one document of maps, lists and
/// scalars; no anchors, aliases or tags, no tabs in front of a line, no key twice, at most 16 levels and 1 MiB.
/// Everything else is a ConfigError "FILE:LINE:COLUMN: ...", whatever the bytes are. Settings are bound to it in
/// yaml_fields.h.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace stoa {

struct YamlEntry;

struct YamlNode {
  enum class Kind { kNothing, kScalar, kList, kMap };
  Kind kind = Kind::kNothing;
  std::string place;               ///< "configs/a.yaml:14:3", or "command line: training.steps=12"
  std::string text;                ///< of a scalar
  bool quoted = false;             ///< a quoted scalar is a string, never a number
  std::vector<YamlNode> items;     ///< of a list
  std::vector<YamlEntry> entries;  ///< of a map, in the order of the file

  /// The value under `key`, or null where this is no map or has no such key.
  const YamlNode* find(std::string_view key) const;
};

struct YamlEntry {
  std::string key;
  std::string place;
  YamlNode value;
};

class YamlFile {
 public:
  /// ConfigError where the file cannot be read, too.
  static YamlFile read(const std::filesystem::path& path);
  /// `name` stands in front of every place.
  static YamlFile parse(std::string_view text, std::string_view name);

  /// "training.steps=12": sets the value at a path of keys, making the maps on the way. The value is YAML ("[a, b]" is
  /// a list). Its place is the command line. ConfigError where it is no assignment or passes through a value that is no
  /// map.
  void set(std::string_view assignment);

  const YamlNode& root() const { return root_; }
  /// The place of the value at "model.heads" or "wheels[2].spokes", or of the innermost map on the way that is there.
  const std::string& place(std::string_view key_path) const;

 private:
  YamlNode root_;
};

}  // namespace stoa

#pragma once
/// Binds plain structs to YAML: one description of a struct's fields serves reading, finding unknown keys, and writing
/// everything back.
///
///   void describe_wheel(YamlFields& fields, Wheel& wheel) {
///     fields.field("spokes", wheel.spokes, WholeRange{.least = 3});
///     fields.choice("tyre", wheel.tyre, kTyres);
///     fields.section("hub", wheel.hub, describe_hub);
///   }
///
/// A list of structs is a YAML list of maps, each described by the same function; "wheels[2].spokes" names a key in
/// one. A field whose default lies outside its range has to be given. YamlReader gathers what is wrong and finish()
/// throws one ConfigError: an unknown key first, because it explains a missing one, else what comes first in the
/// description.
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/yaml_file.h"

namespace stoa {

struct WholeRange {
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
  bool holds(std::int64_t value) const { return value >= least && value <= most; }
};

/// Numbers; an open end is not itself allowed.
struct RealRange {
  double least = 0;
  double most = std::numeric_limits<double>::max();
  enum class End { kClosed, kOpen };
  End low = End::kClosed;
  End high = End::kClosed;
  bool holds(double value) const {
    return (low == End::kOpen ? value > least : value >= least) && (high == End::kOpen ? value < most : value <= most);
  }
};

enum class Presence { kOptional, kRequired };

template <typename Enum>
struct YamlChoice {
  std::string_view name;
  Enum value;
};

class YamlFields {
 public:
  virtual ~YamlFields() = default;

  virtual void field(const char* key, std::int64_t& value, const WholeRange& range) = 0;
  virtual void field(const char* key, std::uint64_t& value) = 0;
  virtual void field(const char* key, double& value, const RealRange& range) = 0;
  virtual void field(const char* key, bool& value) = 0;
  virtual void field(const char* key, std::optional<bool>& value) = 0;
  virtual void field(const char* key, std::string& value, Presence presence) = 0;
  virtual void field(const char* key, std::vector<std::string>& value) = 0;
  virtual void field(const char* key, std::vector<std::int64_t>& value, const WholeRange& range) = 0;
  void field(const char* key, int& value, const WholeRange& range);

  template <typename Enum, std::size_t N>
  void choice(const char* key, Enum& value, const YamlChoice<Enum> (&choices)[N]) {
    std::string_view names[N];
    std::size_t chosen = 0;
    for (std::size_t i = 0; i < N; ++i) {
      names[i] = choices[i].name;
      if (choices[i].value == value) chosen = i;
    }
    name(key, chosen, names);
    value = choices[chosen].value;
  }

  template <typename Struct>
  void section(const char* key, Struct& settings, void (*describe)(YamlFields&, Struct&)) {
    begin_section(key);
    describe(*this, settings);
    end_section();
  }

  /// A list of sections. Where the file leaves the list out, `values` stay as they are; else they are replaced.
  template <typename Struct>
  void list(const char* key, std::vector<Struct>& values, void (*describe)(YamlFields&, Struct&)) {
    std::vector<Struct> described = values;
    described.resize(begin_list(key, values.size()));
    for (std::size_t i = 0; i < described.size(); ++i) {
      if (replaces_items()) described[i] = Struct{};
      begin_item(i);
      describe(*this, described[i]);
      end_item();
    }
    end_list();
    values = std::move(described);
  }

 protected:
  virtual void name(const char* key, std::size_t& chosen, std::span<const std::string_view> names) = 0;
  virtual void begin_section(const char* key) = 0;
  virtual void end_section() = 0;
  /// Takes how many items there are now and tells how many will be described.
  virtual std::size_t begin_list(const char* key, std::size_t count) = 0;
  /// Whether the items of the list that was begun start from their defaults.
  virtual bool replaces_items() const = 0;
  virtual void begin_item(std::size_t index) = 0;
  virtual void end_item() = 0;
  virtual void end_list() = 0;
};

class YamlReader final : public YamlFields {
 public:
  /// Borrows the file.
  explicit YamlReader(const YamlFile& file);

  using YamlFields::field;
  void field(const char* key, std::int64_t& value, const WholeRange& range) override;
  void field(const char* key, std::uint64_t& value) override;
  void field(const char* key, double& value, const RealRange& range) override;
  void field(const char* key, bool& value) override;
  void field(const char* key, std::optional<bool>& value) override;
  void field(const char* key, std::string& value, Presence presence) override;
  void field(const char* key, std::vector<std::string>& value) override;
  void field(const char* key, std::vector<std::int64_t>& value, const WholeRange& range) override;

  /// After the description: throws what was found wrong.
  void finish();

 private:
  struct Key {
    std::string path;
    std::string expected;
  };
  struct Section {
    const YamlNode* node;  ///< null where the file leaves the section out
    std::string place;
    std::string path;  ///< "training.", or "" for the file itself
    std::vector<std::string> keys;
  };
  struct List {
    const YamlNode* node;  ///< null where the file leaves the list out, or has something else
    std::string key;
  };
  struct Unknown {
    std::string place;
    std::string path;
    std::string key;
    std::vector<std::string> siblings;
  };

  void name(const char* key, std::size_t& chosen, std::span<const std::string_view> names) override;
  void begin_section(const char* key) override;
  void end_section() override;
  std::size_t begin_list(const char* key, std::size_t count) override;
  bool replaces_items() const override { return lists_.back().node != nullptr; }
  void begin_item(std::size_t index) override;
  void end_item() override { end_section(); }
  void end_list() override { lists_.pop_back(); }

  const YamlNode* take(const char* key, const std::string& expected);
  void missing(const char* key, const std::string& expected);
  void wrong(const YamlNode& node, const char* key, const std::string& expected);
  std::string unknown_message(const Unknown& unknown) const;

  std::vector<Section> sections_;
  std::vector<List> lists_;  ///< begun and not ended
  std::vector<Key> known_;
  std::vector<Unknown> unknown_;
  std::string first_wrong_;
};

/// Writes every field: YAML that reads back to the same values, bit for bit.
class YamlWriter final : public YamlFields {
 public:
  using YamlFields::field;
  void field(const char* key, std::int64_t& value, const WholeRange& range) override;
  void field(const char* key, std::uint64_t& value) override;
  void field(const char* key, double& value, const RealRange& range) override;
  void field(const char* key, bool& value) override;
  void field(const char* key, std::optional<bool>& value) override;
  void field(const char* key, std::string& value, Presence presence) override;
  void field(const char* key, std::vector<std::string>& value) override;
  void field(const char* key, std::vector<std::int64_t>& value, const WholeRange& range) override;

  const std::string& text() const { return text_; }

 private:
  void name(const char* key, std::size_t& chosen, std::span<const std::string_view> names) override;
  void begin_section(const char* key) override;
  void end_section() override;
  std::size_t begin_list(const char* key, std::size_t count) override;
  bool replaces_items() const override { return false; }
  void begin_item(std::size_t index) override;
  void end_item() override;
  void end_list() override;
  void line(const char* key, std::string_view value);

  std::string text_;
  int depth_ = 0;
  bool item_begins_ = false;  ///< the next line is the first of a list's item
};

/// Insertions, deletions, replacements and swaps of neighbours that turn one word into the other.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The word of `known` that `word` was probably meant to be; nothing where none is near.
std::optional<std::string_view> nearest_word(std::string_view word, std::span<const std::string> known);

}  // namespace stoa

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stoa/base/yaml_fields.h"

namespace stoa {
namespace {

/// In double quotes, so that YAML can take it for nothing else.
std::string written(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    if (c == '\n')
      quoted += "\\n";
    else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F)
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      quoted += c;
  }
  return quoted + '"';
}

}  // namespace

void YamlWriter::line(const char* key, std::string_view value) {
  const int indent = 2 * depth_ - (item_begins_ ? 2 : 0);
  const char* dash = item_begins_ ? "- " : "";
  item_begins_ = false;
  text_ += fmt::format("{:{}}{}{}:{}{}\n", "", indent, dash, key, value.empty() ? "" : " ", value);
}

void YamlWriter::field(const char* key, std::int64_t& value, const WholeRange&) { line(key, fmt::format("{}", value)); }
void YamlWriter::field(const char* key, std::uint64_t& value) { line(key, fmt::format("{}", value)); }
void YamlWriter::field(const char* key, double& value, const RealRange&) { line(key, fmt::format("{}", value)); }
void YamlWriter::field(const char* key, bool& value) { line(key, value ? "true" : "false"); }
void YamlWriter::field(const char* key, std::optional<bool>& value) {
  if (value) line(key, *value ? "true" : "false");
}
void YamlWriter::field(const char* key, std::string& value, Presence) { line(key, written(value)); }

void YamlWriter::field(const char* key, std::vector<std::string>& value) {
  if (value.empty()) return line(key, "[]");
  line(key, "");
  for (const std::string& text : value) text_ += fmt::format("{:{}}- {}\n", "", 2 * depth_ + 2, written(text));
}

void YamlWriter::field(const char* key, std::vector<std::int64_t>& value, const WholeRange&) {
  line(key, fmt::format("[{}]", fmt::join(value, ", ")));
}

void YamlWriter::name(const char* key, std::size_t& chosen, std::span<const std::string_view> names) {
  line(key, names[chosen]);
}

void YamlWriter::begin_section(const char* key) {
  line(key, "");
  ++depth_;
}

void YamlWriter::end_section() { --depth_; }

std::size_t YamlWriter::begin_list(const char* key, std::size_t count) {
  line(key, count == 0 ? "[]" : "");
  depth_ += 2;
  return count;
}

void YamlWriter::begin_item(std::size_t) { item_begins_ = true; }

void YamlWriter::end_item() {
  if (item_begins_) text_ += fmt::format("{:{}}- {{}}\n", "", 2 * depth_ - 2);
  item_begins_ = false;
}

void YamlWriter::end_list() { depth_ -= 2; }

}  // namespace stoa

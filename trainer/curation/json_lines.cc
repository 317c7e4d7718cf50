#include "stoa/trainer/curation/json_lines.h"

#include "stoa/base/error.h"
#include "stoa/base/json.h"

namespace stoa::trainer {
namespace {

/// The byte after the string that begins at `at`.
std::size_t end_of_string(std::string_view json, std::size_t at) {
  for (++at; at < json.size() && json[at] != '"'; ++at)
    if (json[at] == '\\') ++at;
  return at + 1;
}

bool is_json_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool is_named(std::string_view quoted, std::string_view field) {
  if (quoted.find('\\') == std::string_view::npos) return quoted.substr(1, quoted.size() - 2) == field;
  return parse_json(quoted, "key").get<std::string>() == field;
}

}  // namespace

void append_json_string(std::string& line, std::string_view text) {
  static constexpr std::string_view kHex = "0123456789abcdef";
  line += '"';
  std::size_t copied = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto c = static_cast<unsigned char>(text[at]);
    if (c >= 0x20 && c != '"' && c != '\\') continue;
    line.append(text, copied, at - copied);
    copied = at + 1;
    line += '\\';
    switch (c) {
      case '\n':
        line += 'n';
        break;
      case '\t':
        line += 't';
        break;
      case '\r':
        line += 'r';
        break;
      case '"':
      case '\\':
        line += static_cast<char>(c);
        break;
      default:
        line += "u00";
        line += kHex[c >> 4];
        line += kHex[c & 15];
    }
  }
  line.append(text, copied);
  line += '"';
}

std::string json_line(std::string_view field, std::string_view text) {
  std::string line = "{";
  line.reserve(text.size() + text.size() / 32 + field.size() + 16);
  append_json_string(line, field);
  line += ": ";
  append_json_string(line, text);
  return line + "}";
}

std::string json_line_with(std::string_view object, std::string_view field, std::string_view text) {
  int depth = 0;
  for (std::size_t at = 0; at < object.size();) {
    const char c = object[at];
    if (c != '"') {
      depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
      ++at;
      continue;
    }
    const std::size_t key = at;
    at = end_of_string(object, at);
    if (depth != 1) continue;
    std::size_t value = at;
    while (value < object.size() && is_json_space(object[value])) ++value;
    if (value >= object.size() || object[value] != ':') continue;  // a value
    ++value;
    while (value < object.size() && is_json_space(object[value])) ++value;
    if (value >= object.size() || object[value] != '"' || !is_named(object.substr(key, at - key), field)) continue;
    std::string line;
    line.reserve(object.size() + text.size() / 32 + 16);
    line += object.substr(0, value);
    append_json_string(line, text);
    line += object.substr(std::min(end_of_string(object, value), object.size()));
    return line;
  }
  throw InternalError("the text under '{}' was read, but is not found again in {} bytes of JSON", field, object.size());
}

}  // namespace stoa::trainer

#include "stoa/trainer/curation/text_units.h"

#include <algorithm>
#include <cstring>

namespace stoa::trainer {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

/// Bytes of the valid sequence at `text`'s begin, or the negated length of the longest part that could begin one.
int sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return -1;
  const int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  // The second byte's range rules out surrogates, overlong forms and what lies above U+10FFFF.
  const unsigned char low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned char high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (text.size() < 2 || byte(1) < low || byte(1) > high) return -1;
  for (int i = 2; i < length; ++i)
    if (text.size() <= static_cast<std::size_t>(i) || (byte(i) & 0xC0) != 0x80) return -i;
  return length;
}

/// Bytes of valid UTF-8 at `text`'s begin.
std::size_t valid_prefix(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t eight = 0;
    while (at + sizeof eight <= text.size()) {
      std::memcpy(&eight, text.data() + at, sizeof eight);
      if ((eight & 0x8080808080808080U) != 0) break;
      at += sizeof eight;
    }
    if (at == text.size()) break;
    const int bytes = sequence(text.substr(at));
    if (bytes < 0) break;
    at += static_cast<std::size_t>(bytes);
  }
  return at;
}

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

}  // namespace

std::optional<RepairedText> repaired_utf8(std::string_view text) {
  std::size_t valid = valid_prefix(text);
  if (valid == text.size()) return std::nullopt;
  RepairedText repaired;
  repaired.first = valid;
  while (!text.empty()) {
    repaired.text += text.substr(0, valid);
    text.remove_prefix(valid);
    if (text.empty()) break;
    repaired.text += kReplacement;
    ++repaired.replaced;
    text.remove_prefix(static_cast<std::size_t>(-sequence(text)));
    valid = valid_prefix(text);
  }
  return repaired;
}

std::string excerpt_of(std::string_view text, std::size_t at, std::size_t most_characters) {
  at = std::min(at, text.size());
  while (at > 0 && at < text.size() && continues(text[at])) --at;
  std::string excerpt;
  for (std::size_t taken = 0; at < text.size() && taken < most_characters;) {
    const std::size_t bytes = decode_utf8(text.data() + at).bytes;
    const auto lead = static_cast<unsigned char>(text[at]);
    if (lead >= 0x20 ? lead != 0x7F : (lead == '\n' || lead == '\t')) {
      excerpt += text.substr(at, bytes);
      ++taken;
    }
    at += bytes;
  }
  return excerpt;
}

std::string_view first_bytes(std::string_view text, std::size_t most) {
  if (text.size() <= most) return text;
  while (most > 0 && continues(text[most])) --most;
  return text.substr(0, most);
}

std::size_t count_characters(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

bool is_space(char32_t c) {
  if (c < 0x80) return is_ascii_space(static_cast<char>(c));
  if (c < 0x1680) return c == 0x85 || c == 0xA0;
  if (c < 0x2000) return c == 0x1680;
  return c <= 0x200A || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_letter(char32_t c) {
  if (c < 0x80) return is_ascii_letter(static_cast<char>(c));
  if (c < 0xC0) return c == 0xAA || c == 0xB5 || c == 0xBA;
  if (c < 0x2000) return c != 0xD7 && c != 0xF7;
  if (c < 0x2C00) return false;                 // punctuation, currency, arrows, mathematics, boxes, dingbats
  if (c >= 0x2E00 && c < 0x2E80) return false;  // more punctuation
  if (c >= 0x3000 && c < 0x3040) return c == 0x3005 || c == 0x3006 || c == 0x3007;
  if (c >= 0xE000 && c < 0xF900) return false;  // private use
  if (c >= 0xFE00 && c < 0xFE70) return false;  // variation selectors, forms of punctuation
  if (c == 0xFEFF) return false;
  if (c >= 0xFF00) {
    if (c < 0xFFF0) return (c >= 0xFF21 && c <= 0xFF3A) || (c >= 0xFF41 && c <= 0xFF5A) || (c >= 0xFF66 && c < 0xFFE0);
    return c >= 0x10000 && !(c >= 0x1F000 && c < 0x20000) && c < 0xE0000;
  }
  return true;
}

std::string_view stripped(std::string_view line) {
  std::size_t begin = 0;
  while (begin < line.size()) {
    const CodePoint point = decode_utf8(line.data() + begin);
    if (!is_space(point.value)) break;
    begin += point.bytes;
  }
  line.remove_prefix(begin);
  while (!line.empty()) {
    std::size_t last = line.size() - 1;
    while (last > 0 && continues(line[last])) --last;
    if (!is_space(decode_utf8(line.data() + last).value)) break;
    line.remove_suffix(line.size() - last);
  }
  return line;
}

}  // namespace stoa::trainer

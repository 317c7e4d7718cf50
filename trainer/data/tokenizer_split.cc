#include "stoa/trainer/data/tokenizer_split.h"

#include <array>
#include <cstdint>

#include "stoa/trainer/data/tokenizer_pattern.h"

namespace stoa::trainer {
namespace {

constexpr std::uint8_t kOther = static_cast<std::uint8_t>(CharacterClass::kOther);
constexpr std::uint8_t kSpace = static_cast<std::uint8_t>(CharacterClass::kSpace);
constexpr std::uint8_t kNotAscii = 255;

constexpr std::array<std::uint8_t, 256> kClassOfByte = [] {
  std::array<std::uint8_t, 256> classes{};
  for (int c = 0; c < 256; ++c) {
    CharacterClass value = CharacterClass::kOther;
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) value = CharacterClass::kLetter;
    if (c >= '0' && c <= '9') value = CharacterClass::kNumber;
    if (c == ' ' || (c >= '\t' && c <= '\r')) value = CharacterClass::kSpace;
    classes[static_cast<std::size_t>(c)] = c < 0x80 ? static_cast<std::uint8_t>(value) : kNotAscii;
  }
  return classes;
}();

struct Character {
  std::uint8_t character_class;
  std::uint8_t bytes;
};

/// The character above ASCII that starts at `at`.
Character wide_character(std::string_view text, std::size_t at) {
  constexpr Character kInvalid{kOther, 1};
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[at + i]); };
  const std::uint8_t lead = byte(0);
  const std::uint8_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() - at < bytes) return kInvalid;
  char32_t code_point = lead & (0x7FU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return kInvalid;
    code_point = (code_point << 6) | (byte(i) & 0x3FU);
  }
  const bool overlong = (bytes == 3 && code_point < 0x800) || (bytes == 4 && code_point < 0x10000);
  if (overlong || code_point > 0x10FFFF || (code_point >= 0xD800 && code_point < 0xE000)) return kInvalid;
  return {static_cast<std::uint8_t>(character_classes()(code_point)), bytes};
}

Character character_at(std::string_view text, std::size_t at) {
  const std::uint8_t value = kClassOfByte[static_cast<std::uint8_t>(text[at])];
  return value == kNotAscii ? wide_character(text, at) : Character{value, 1};
}

std::size_t end_of_run(std::string_view text, std::size_t at, std::uint8_t wanted) {
  while (at < text.size()) {
    const Character next = character_at(text, at);
    if (next.character_class != wanted) break;
    at += next.bytes;
  }
  return at;
}

/// Length of 's 't 're 've 'm 'll 'd at an apostrophe, or 0.
std::size_t contraction(std::string_view text, std::size_t at) {
  const char first = at + 1 < text.size() ? text[at + 1] : '\0';
  const char second = at + 2 < text.size() ? text[at + 2] : '\0';
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  return first == 'l' && second == 'l' ? 3 : 0;
}

/// Of a run of spaces before a word the last one is left for what follows: \s+(?!\S)|\s+.
std::size_t end_of_spaces(std::string_view text, std::size_t begin) {
  std::size_t at = begin;
  std::size_t last = begin;
  while (at < text.size()) {
    const Character next = character_at(text, at);
    if (next.character_class != kSpace) return last > begin ? last : at;
    last = at;
    at += next.bytes;
  }
  return at;
}

}  // namespace

std::size_t pre_token_length(std::string_view text, std::size_t begin) {
  if (text[begin] == '\'')
    if (const std::size_t length = contraction(text, begin)) return length;
  const Character first = character_at(text, begin);
  if (first.character_class != kSpace) return end_of_run(text, begin + first.bytes, first.character_class) - begin;
  if (text[begin] == ' ' && begin + 1 < text.size()) {
    const Character second = character_at(text, begin + 1);
    if (second.character_class != kSpace)
      return end_of_run(text, begin + 1 + second.bytes, second.character_class) - begin;
  }
  return end_of_spaces(text, begin) - begin;
}

}  // namespace stoa::trainer

#pragma once
/// What the steps of a curation mean by character, word, line and paragraph. Simple on purpose and the same in every
/// release; all of it in time linear in the text.
///
/// - A character is a code point of UTF-8.
/// - A space is a code point with Unicode's White_Space property.
/// - A word is a longest run of characters that are no space. Punctuation belongs to it. Text written without spaces
///   (Chinese, Japanese, Thai) therefore has few, very long words: rules about words are for languages that use spaces.
/// - A letter is an ASCII letter or a code point above U+007F outside the blocks of punctuation, symbols, arrows,
///   dingbats, emoji, variation selectors and private use (is_letter).
/// - A line ends at '\n'; a '\r' before it belongs to the line's end. A line of spaces alone is blank.
/// - A paragraph is a longest run of lines that are not blank.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stoa::trainer {

/// `text` with each longest invalid part of a sequence (Unicode 15, section 3.9) replaced by U+FFFD, and how many there
/// were; nothing where the text is valid.
struct RepairedText {
  std::string text;
  std::int64_t replaced = 0;
  std::size_t first = 0;  ///< byte of the first one
};
std::optional<RepairedText> repaired_utf8(std::string_view text);

/// At most `most_characters` characters from byte `at` (or before, at a character's begin); control characters, except
/// newline and tab, left out. REQUIRES: valid UTF-8.
std::string excerpt_of(std::string_view text, std::size_t at, std::size_t most_characters);

/// At most `most` bytes, whole characters. REQUIRES: valid UTF-8.
std::string_view first_bytes(std::string_view text, std::size_t most);

std::size_t count_characters(std::string_view text);

struct CodePoint {
  char32_t value = 0;
  std::size_t bytes = 1;
};

/// REQUIRES: a character of valid UTF-8 begins at `p`.
inline CodePoint decode_utf8(const char* p) {
  const auto byte = [p](int i) { return static_cast<char32_t>(static_cast<unsigned char>(p[i])); };
  const char32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

constexpr bool is_ascii_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool is_ascii_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_ascii_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
constexpr char ascii_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool is_space(char32_t c);
bool is_letter(char32_t c);

struct Word {
  std::size_t begin = 0, end = 0;  ///< bytes
  std::size_t characters = 0;
  bool has_letter = false;
};

/// Calls visit(const Word&) for each word in order. REQUIRES: valid UTF-8.
template <typename Visit>
void for_each_word(std::string_view text, Visit visit) {
  Word word;
  std::size_t at = 0;
  const auto finish = [&] {
    if (word.characters == 0) return;
    word.end = at;
    visit(static_cast<const Word&>(word));
    word.characters = 0;
  };
  while (at < text.size()) {
    const char c = text[at];
    bool letter;
    std::size_t bytes = 1;
    if (static_cast<unsigned char>(c) < 0x80) {
      if (is_ascii_space(c)) {
        finish();
        ++at;
        continue;
      }
      letter = is_ascii_letter(c);
    } else {
      const CodePoint point = decode_utf8(text.data() + at);
      bytes = point.bytes;
      if (is_space(point.value)) {
        finish();
        at += bytes;
        continue;
      }
      letter = is_letter(point.value);
    }
    if (word.characters == 0) {
      word.begin = at;
      word.has_letter = false;
    }
    word.has_letter |= letter;
    ++word.characters;
    at += bytes;
  }
  finish();
}

/// `line` without spaces at both ends.
std::string_view stripped(std::string_view line);

/// Calls visit(std::string_view line) for each line in order, without its end; the part after the last '\n' is a line
/// where it is not empty.
template <typename Visit>
void for_each_line(std::string_view text, Visit visit) {
  while (!text.empty()) {
    const std::size_t newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    visit(line);
  }
}

}  // namespace stoa::trainer

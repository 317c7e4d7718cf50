#pragma once
/// The pre-tokenizers' patterns themselves, literally, matched by PCRE2: the oracle of tokenizer_split.h. PCRE2's
/// Unicode version may be older than the table of tokenizer_classes.h, so \p{L}, \p{N} and \s are written out as that
/// table has them.
#define PCRE2_CODE_UNIT_WIDTH 8
#include <fmt/format.h>
#include <pcre2.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "stoa/trainer/data/tokenizer_classes.h"
#include "stoa/trainer/data/tokenizer_split.h"

namespace stoa::reference {

using trainer::character_classes;
using trainer::CharacterClass;

inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

inline void append_utf8(std::string& text, char32_t c) {
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0 | (c >> 6));
    text += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0 | (c >> 12));
    text += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (c & 0x3F));
  } else {
    text += static_cast<char>(0xF0 | (c >> 18));
    text += static_cast<char>(0x80 | ((c >> 12) & 0x3F));
    text += static_cast<char>(0x80 | ((c >> 6) & 0x3F));
    text += static_cast<char>(0x80 | (c & 0x3F));
  }
}

/// A pattern of PCRE2. One thread at a time.
class Pattern {
 public:
  explicit Pattern(std::string_view pattern) {
    int error = 0;
    PCRE2_SIZE at = 0;
    code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(), PCRE2_UTF | PCRE2_UCP,
                              &error, &at, nullptr));
    if (!code_) throw std::runtime_error(fmt::format("PCRE2 refuses the pattern at {} (error {})", at, error));
    pcre2_jit_compile(code_.get(), PCRE2_JIT_COMPLETE);  // Where the system forbids it, the interpreter matches.
    match_.reset(pcre2_match_data_create_from_pattern(code_.get(), nullptr));
  }

  /// Length of the match that begins at `begin`, or 0. REQUIRES: text is valid UTF-8 and a character begins there.
  std::size_t match(std::string_view text, std::size_t begin) const {
    const int result = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), begin,
                                   PCRE2_NO_UTF_CHECK | PCRE2_ANCHORED, match_.get(), nullptr);
    return result < 0 ? 0 : pcre2_get_ovector_pointer(match_.get())[1] - begin;
  }

 private:
  struct Free {
    void operator()(pcre2_code* code) const { pcre2_code_free(code); }
    void operator()(pcre2_match_data* match) const { pcre2_match_data_free(match); }
  };
  std::unique_ptr<pcre2_code, Free> code_;
  std::unique_ptr<pcre2_match_data, Free> match_;
};

/// The characters of a class, for between brackets: PCRE2's and those that only the table has.
inline std::string characters_of(CharacterClass wanted) {
  const std::string name = wanted == CharacterClass::kLetter   ? "\\p{L}"
                           : wanted == CharacterClass::kNumber ? "\\p{N}"
                                                               : "\\p{White_Space}";
  const Pattern of_pcre2(name);
  const auto only_in_table = [&](char32_t c) {
    if (c >= 0x110000 || (c >= 0xD800 && c < 0xE000) || character_classes()(c) != wanted) return false;
    std::string text;
    append_utf8(text, c);
    return of_pcre2.match(text, 0) == 0;
  };
  std::string characters = name;
  for (char32_t c = 0x80; c < 0x110000; ++c) {
    if (!only_in_table(c)) continue;
    const char32_t first = c;
    while (only_in_table(c + 1)) ++c;
    characters += fmt::format("\\x{{{:X}}}-\\x{{{:X}}}", static_cast<unsigned>(first), static_cast<unsigned>(c));
  }
  return characters;
}

/// `pattern` with the table's classes.
inline std::string written_out(std::string_view pattern) {
  const std::pair<std::string_view, CharacterClass> names[] = {
      {"\\p{L}", CharacterClass::kLetter}, {"\\p{N}", CharacterClass::kNumber}, {"\\s", CharacterClass::kSpace}};
  std::string out;
  bool in_brackets = false;
  while (!pattern.empty()) {
    std::string_view taken = pattern.substr(0, 1);
    std::string written(taken);
    if (pattern.starts_with("\\S")) {
      taken = pattern.substr(0, 2);
      written = "[^" + characters_of(CharacterClass::kSpace) + "]";
    }
    for (const auto& [name, value] : names)
      if (pattern.starts_with(name)) {
        taken = name;
        written = in_brackets ? characters_of(value) : "[" + characters_of(value) + "]";
      }
    if (taken == "[") in_brackets = true;
    if (taken == "]") in_brackets = false;
    out += written;
    pattern.remove_prefix(taken.size());
  }
  return out;
}

}  // namespace stoa::reference

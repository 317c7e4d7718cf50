#pragma once
/// The two things PCRE2 is asked for: the Unicode class of each character (for the splitter, tokenizer_split.h) and
/// the patterns themselves, literally, as the oracle that the splitter is tested against.
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "stoa/trainer/data/tokenizer_split.h"

namespace stoa::trainer {

enum class CharacterClass : std::uint8_t { kOther, kLetter, kNumber, kSpace };

/// \p{L}, \p{N} and White_Space of every code point above ASCII, as PCRE2's Unicode version has them.
class CharacterClasses {
 public:
  CharacterClasses();
  CharacterClass operator()(char32_t code_point) const {
    return static_cast<CharacterClass>(pages_[page_of_[code_point >> kPageBits]][code_point & (kPageSize - 1)]);
  }

 private:
  static constexpr int kPageBits = 7;
  static constexpr std::size_t kPageSize = std::size_t{1} << kPageBits;
  std::vector<std::uint16_t> page_of_;
  std::vector<std::vector<std::uint8_t>> pages_;
};

/// The process's table, made at its first use (some milliseconds). Any thread.
const CharacterClasses& character_classes();

/// A pre-tokenizer's pattern, matched by PCRE2. One thread at a time.
class PreTokenPattern {
 public:
  explicit PreTokenPattern(PreTokenizer kind);
  ~PreTokenPattern();
  /// Length of the match at `begin`. REQUIRES: text is valid UTF-8 and begin < text.size() is at a character.
  std::size_t match(std::string_view text, std::size_t begin) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stoa::trainer

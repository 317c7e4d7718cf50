#pragma once
/// What the tokenizers' patterns know of a character: \p{L}, \p{N}, \s, and \w for added tokens that must be words. The
/// table is what Hugging Face's library answers for each code point (scripts/character_classes asks it), so that ids
/// are theirs whatever Unicode version its parts have.
#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace stoa::trainer {

enum class CharacterClass : std::uint8_t { kOther, kLetter, kNumber, kSpace };

class CharacterClasses {
 public:
  CharacterClasses();
  CharacterClass operator()(char32_t code_point) const { return static_cast<CharacterClass>(value(code_point) & 3); }
  /// Whether \w matches it.
  bool is_of_a_word(char32_t code_point) const { return (value(code_point) & 4) != 0; }

 private:
  static constexpr int kPageBits = 7;
  static constexpr std::size_t kPageSize = std::size_t{1} << kPageBits;
  std::uint8_t value(char32_t code_point) const {
    return pages_[page_of_[code_point >> kPageBits]][code_point & (kPageSize - 1)];
  }

  std::vector<std::uint16_t> page_of_;
  std::vector<std::array<std::uint8_t, kPageSize>> pages_;
};

/// The process's table, made at its first use (about a millisecond). Any thread.
const CharacterClasses& character_classes();

}  // namespace stoa::trainer

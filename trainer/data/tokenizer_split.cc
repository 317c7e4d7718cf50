#include "stoa/trainer/data/tokenizer_split.h"

#include <array>
#include <bit>
#include <cstring>

#include "stoa/trainer/data/tokenizer_classes.h"
#include "stoa/trainer/data/tokenizer_split_bits.h"
#include "stoa/trainer/data/tokenizer_utf8.h"

namespace stoa::trainer {
namespace {

constexpr std::uint8_t kOther = static_cast<std::uint8_t>(CharacterClass::kOther);
constexpr std::uint8_t kLetter = static_cast<std::uint8_t>(CharacterClass::kLetter);
constexpr std::uint8_t kNumber = static_cast<std::uint8_t>(CharacterClass::kNumber);
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

constexpr std::uint64_t in_every_byte(std::uint64_t byte) { return byte * 0x0101010101010101U; }

/// How many bytes of the eight are ASCII letters before the first that is none; the first byte is the lowest.
std::size_t leading_letters(std::uint64_t bytes) {
  constexpr std::uint64_t kTop = in_every_byte(0x80);
  const std::uint64_t lower = (bytes | in_every_byte(0x20)) & ~kTop;
  const std::uint64_t from_a = lower + in_every_byte(0x80 - 'a');
  const std::uint64_t past_z = lower + in_every_byte(0x80 - 'z' - 1);
  const std::uint64_t no_letter = ~(from_a & ~past_z & ~bytes) & kTop;
  return static_cast<std::size_t>(std::countr_zero(no_letter)) / 8;
}

struct Character {
  std::uint8_t character_class;
  std::uint8_t bytes;
};

class Cutter {
 public:
  explicit Cutter(std::string_view text) : text_(text.data()), size_(text.size()), classes_(character_classes()) {}

  /// End of the pre-token at `begin`.
  template <PreTokenizer kind>
  std::size_t end(std::size_t begin) const {
    if constexpr (kind == PreTokenizer::kGpt2)
      return gpt2_end(begin);
    else
      return llama3_end(begin);
  }

#if STOA_SPLIT_BITS
  static constexpr std::size_t kBlock = 64;

  /// Bits of the bytes after `begin` with which pre-tokens begin, as far as the next 64 bytes tell.
  template <PreTokenizer kind>
  std::uint64_t begins_after(std::size_t begin) const {
    const AsciiBits bits = bits_at(begin);
    if (bits.all == 0) return 0;
    std::uint64_t begins = 0;
    if constexpr (kind == PreTokenizer::kGpt2)
      begins = gpt2_begins(bits, [&](std::size_t at) { return contraction(begin + at); });
    else
      begins = llama3_begins(bits, [&](std::size_t at) { return contraction_of_any_case(begin + at); });
    return begins & bits.decided() & ~std::uint64_t{1};
  }
#endif

 private:
#if STOA_SPLIT_BITS
  AsciiBits bits_at(std::size_t begin) const {
    if (size_ - begin >= kBlock) return ascii_bits(text_ + begin);
    // What is not ASCII ends the bits.
    char last[kBlock];
    std::memset(last, 0x80, sizeof last);
    std::memcpy(last, text_ + begin, size_ - begin);
    return ascii_bits(last);
  }
#endif

  std::uint8_t byte(std::size_t at) const { return static_cast<std::uint8_t>(text_[at]); }
  std::uint8_t byte_or_0(std::size_t at) const { return at < size_ ? byte(at) : std::uint8_t{0}; }

  Character character(std::size_t at) const {
    const std::uint8_t value = kClassOfByte[byte(at)];
    return value == kNotAscii ? wide_character(at) : Character{value, 1};
  }

  /// The character above ASCII that starts at `at`.
  Character wide_character(std::size_t at) const {
    const Utf8Character wide = utf8_character({text_, size_}, at);
    if (!wide.is_valid) return {kOther, 1};
    return {static_cast<std::uint8_t>(classes_(wide.code_point)), wide.bytes};
  }

  std::size_t end_of_ascii_letters(std::size_t at) const {
    if constexpr (std::endian::native == std::endian::little) {
      for (std::uint64_t bytes = 0; at + sizeof bytes <= size_;) {
        std::memcpy(&bytes, text_ + at, sizeof bytes);
        const std::size_t letters = leading_letters(bytes);
        at += letters;
        if (letters < sizeof bytes) return at;
      }
    }
    while (at < size_ && kClassOfByte[byte(at)] == kLetter) ++at;
    return at;
  }

  std::size_t end_of_letters(std::size_t at) const {
    for (;;) {
      at = end_of_ascii_letters(at);
      if (byte_or_0(at) < 0x80) return at;
      do {
        const Character next = wide_character(at);
        if (next.character_class != kLetter) return at;
        at += next.bytes;
      } while (byte_or_0(at) >= 0x80);
    }
  }

  std::size_t end_of_run(std::size_t at, std::uint8_t wanted) const {
    while (at < size_) {
      const Character next = character(at);
      if (next.character_class != wanted) break;
      at += next.bytes;
    }
    return at;
  }

  std::size_t end_of_line_ends(std::size_t at) const {
    while (is_line_end(byte_or_0(at))) ++at;
    return at;
  }

  static bool is_line_end(std::uint8_t byte) { return byte == '\n' || byte == '\r'; }

  /// Length of 's 't 're 've 'm 'll 'd at an apostrophe, or 0.
  std::size_t contraction(std::size_t at) const { return contraction(byte_or_0(at + 1), byte_or_0(at + 2)); }

  static std::size_t contraction(std::uint8_t first, std::uint8_t second) {
    if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
    if ((first == 'r' || first == 'v') && second == 'e') return 3;
    return first == 'l' && second == 'l' ? 3 : 0;
  }

  std::size_t contraction_of_any_case(std::size_t at) const {
    const std::uint8_t first = byte_or_0(at + 1);
    const std::uint8_t second = byte_or_0(at + 2);
    if (first == 0xC5 && second == 0xBF) return 3;  // U+017F
    if (first >= 0x80 || kClassOfByte[first] != kLetter) return 0;
    const bool second_is_letter = second < 0x80 && kClassOfByte[second] == kLetter;
    return contraction(first | 0x20, second_is_letter ? second | 0x20 : second);
  }

  std::size_t gpt2_end(std::size_t begin) const {
    const std::uint8_t lead = byte(begin);
    if (lead == '\'')
      if (const std::size_t length = contraction(begin)) return begin + length;
    std::size_t at = begin + (lead == ' ' && begin + 1 < size_ ? 1 : 0);
    Character first = character(at);
    if (first.character_class == kLetter) return end_of_letters(at + first.bytes);
    if (first.character_class != kSpace) return end_of_run(at + first.bytes, first.character_class);
    return end_of_spaces(begin);
  }

  /// Of a run of spaces before a word the last one is left for what follows: \s+(?!\S)|\s+.
  std::size_t end_of_spaces(std::size_t begin) const {
    std::size_t at = begin;
    std::size_t last = begin;
    while (at < size_) {
      const Character next = character(at);
      if (next.character_class != kSpace) return last > begin ? last : at;
      last = at;
      at += next.bytes;
    }
    return at;
  }

  std::size_t llama3_end(std::size_t begin) const {
    const std::uint8_t lead = byte(begin);
    if (lead == '\'')
      if (const std::size_t length = contraction_of_any_case(begin)) return begin + length;
    const Character first = character(begin);
    const std::size_t after = begin + first.bytes;
    if (first.character_class == kLetter) return end_of_letters(after);
    if (first.character_class == kNumber) return end_of_three_numbers(after);
    if (after < size_ && !is_line_end(lead)) {
      const Character second = character(after);
      if (second.character_class == kLetter) return end_of_letters(after + second.bytes);
      if (lead == ' ' && second.character_class == kOther)
        return end_of_line_ends(end_of_run(after + second.bytes, kOther));
    }
    if (first.character_class == kOther) return end_of_line_ends(end_of_run(after, kOther));
    return end_of_lines_or_spaces(begin);
  }

  /// After the first of them.
  std::size_t end_of_three_numbers(std::size_t at) const {
    for (int more = 2; more > 0 && at < size_; --more) {
      const Character next = character(at);
      if (next.character_class != kNumber) break;
      at += next.bytes;
    }
    return at;
  }

  /// A run of spaces goes as far as its last line end; without one the last space is left for what follows.
  std::size_t end_of_lines_or_spaces(std::size_t begin) const {
    std::size_t at = begin;
    std::size_t last = begin;
    std::size_t line_end = begin;
    while (at < size_) {
      const Character next = character(at);
      if (next.character_class != kSpace) break;
      last = at;
      at += next.bytes;
      if (is_line_end(byte(last))) line_end = at;
    }
    if (line_end > begin) return line_end;
    return at < size_ && last > begin ? last : at;
  }

  const char* text_;
  std::size_t size_;
  const CharacterClasses& classes_;
};

template <PreTokenizer kind>
std::size_t ends_of(std::string_view text, std::size_t begin, std::span<std::size_t> ends) {
  const Cutter cutter(text);
  std::size_t count = 0;
#if STOA_SPLIT_BITS
  std::size_t by_bits_from = begin;  // Where bits told nothing, they are left alone for a while.
#endif
  while (count < ends.size() && begin < text.size()) {
#if STOA_SPLIT_BITS
    if (begin >= by_bits_from) {
      const std::size_t block = begin;
      std::uint64_t begins = cutter.begins_after<kind>(block);
      if (begins == 0) by_bits_from = block + Cutter::kBlock / 2;
      for (; begins != 0 && count < ends.size(); begins &= begins - 1)
        ends[count++] = begin = block + static_cast<std::size_t>(std::countr_zero(begins));
      if (begin > block) continue;
    }
#endif
    ends[count++] = begin = cutter.end<kind>(begin);
  }
  return count;
}

}  // namespace

std::size_t pre_token_ends(PreTokenizer kind, std::string_view text, std::size_t begin, std::span<std::size_t> ends) {
  return kind == PreTokenizer::kGpt2 ? ends_of<PreTokenizer::kGpt2>(text, begin, ends)
                                     : ends_of<PreTokenizer::kLlama3>(text, begin, ends);
}

std::size_t pre_token_length(PreTokenizer kind, std::string_view text, std::size_t begin) {
  const Cutter cutter(text);
  return (kind == PreTokenizer::kGpt2 ? cutter.end<PreTokenizer::kGpt2>(begin)
                                      : cutter.end<PreTokenizer::kLlama3>(begin)) -
         begin;
}

}  // namespace stoa::trainer

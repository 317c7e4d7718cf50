#pragma once
/// The words of a text, for resemblance: what survives another layout, other punctuation and other capitals.
///
/// A word is a run of ASCII letters (lower-cased) and digits and of bytes above 0x7F, so that letters of every script
/// belong to words (their case is kept). Exceptions: Latin-1, general, CJK and full-width punctuation, arrows and
/// symbols separate; and where a script writes no spaces (Han, Kana, Thai, Lao, Khmer, Myanmar; also emoji) each code
/// point is a word. Broken UTF-8 is bytes of words like any other. Nothing is read past the end.
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace stoa::trainer {

/// A bijection that mixes all 64 bits (Stafford's variant 13 of the finalizer of MurmurHash3).
constexpr std::uint64_t mixed(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

enum class WordByte : std::uint8_t { kSeparator, kPart, kLead };

namespace words_detail {

constexpr std::array<WordByte, 256> kKinds = [] {
  std::array<WordByte, 256> kinds{};
  for (int byte = 0; byte < 256; ++byte) {
    const bool part =
        (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte >= 0x80;
    kinds[static_cast<std::size_t>(byte)] = part ? WordByte::kPart : WordByte::kSeparator;
  }
  for (const int lead : {0xC2, 0xE0, 0xE1, 0xE2, 0xE3, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, 0xEF, 0xF0})
    kinds[static_cast<std::size_t>(lead)] = WordByte::kLead;
  return kinds;
}();

constexpr std::uint8_t lower_case(std::uint8_t byte) {
  return byte >= 'A' && byte <= 'Z' ? static_cast<std::uint8_t>(byte + 32) : byte;
}

}  // namespace words_detail

enum class CodePointRole { kPart, kSeparator, kWord };

/// What a code point whose first byte is of kind kLead is, from its first three bytes.
CodePointRole code_point_role(std::uint8_t first, std::uint8_t second, std::uint8_t third);

/// Calls `word(hash)` for each word, in order. Linear time, no memory.
template <typename Word>
void for_each_word(std::string_view text, std::uint64_t seed, Word word) {
  using words_detail::kKinds;
  constexpr std::uint64_t kFactor = 0x9e3779b97f4a7c15u;
  const std::size_t size = text.size();
  const auto byte_at = [&](std::size_t i) { return i < size ? static_cast<std::uint8_t>(text[i]) : std::uint8_t{0}; };
  std::uint64_t hash = seed;
  bool inside = false;
  const auto end_word = [&] {
    if (inside) word(mixed(hash));
    hash = seed;
    inside = false;
  };
  for (std::size_t at = 0; at < size; ++at) {
    const std::uint8_t byte = static_cast<std::uint8_t>(text[at]);
    const WordByte kind = kKinds[byte];
    if (kind == WordByte::kSeparator) {
      end_word();
      continue;
    }
    if (kind == WordByte::kLead) {
      const CodePointRole role = code_point_role(byte, byte_at(at + 1), byte_at(at + 2));
      const std::size_t length = byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4;
      const bool is_whole = length < 4 || (byte_at(at + 3) & 0xC0) == 0x80;
      if (role != CodePointRole::kPart && is_whole) {
        end_word();
        if (role == CodePointRole::kWord) {
          for (std::size_t i = 0; i < length; ++i) hash = (hash ^ byte_at(at + i)) * kFactor;
          inside = true;
          end_word();
        }
        at += length - 1;
        continue;
      }
    }
    hash = (hash ^ words_detail::lower_case(byte)) * kFactor;
    inside = true;
  }
  end_word();
}

}  // namespace stoa::trainer

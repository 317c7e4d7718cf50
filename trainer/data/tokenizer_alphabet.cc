#include "stoa/trainer/data/tokenizer_alphabet.h"

#include <algorithm>
#include <numeric>

namespace stoa::trainer {
namespace {

constexpr bool stands_for_itself(int byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || (byte >= 0xAE && byte <= 0xFF);
}

struct Alphabet {
  std::array<std::uint16_t, 256> character_of{};
  std::array<std::int16_t, 512> byte_of{};

  constexpr Alphabet() {
    byte_of.fill(-1);
    int next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const int character = stands_for_itself(byte) ? byte : next++;
      character_of[static_cast<std::size_t>(byte)] = static_cast<std::uint16_t>(character);
      byte_of[static_cast<std::size_t>(character)] = static_cast<std::int16_t>(byte);
    }
  }
};

constexpr Alphabet kAlphabet;

}  // namespace

const std::array<std::uint8_t, 256>& bytes_in_alphabet_order() {
  static const std::array<std::uint8_t, 256> order = [] {
    std::array<std::uint8_t, 256> bytes{};
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    std::sort(bytes.begin(), bytes.end(),
              [](std::uint8_t a, std::uint8_t b) { return kAlphabet.character_of[a] < kAlphabet.character_of[b]; });
    return bytes;
  }();
  return order;
}

std::string to_alphabet(std::string_view bytes) {
  std::string characters;
  for (const char byte : bytes) {
    const std::uint16_t character = kAlphabet.character_of[static_cast<std::uint8_t>(byte)];
    if (character < 0x80) {
      characters += static_cast<char>(character);
    } else {
      characters += static_cast<char>(0xC0 | (character >> 6));
      characters += static_cast<char>(0x80 | (character & 0x3F));
    }
  }
  return characters;
}

std::optional<std::string> from_alphabet(std::string_view characters) {
  std::string bytes;
  for (std::size_t i = 0; i < characters.size(); ++i) {
    unsigned character = static_cast<std::uint8_t>(characters[i]);
    if (character >= 0x80) {
      // The alphabet ends below U+0200: only characters of two UTF-8 bytes.
      if ((character & 0xE0) != 0xC0 || i + 1 == characters.size()) return std::nullopt;
      const unsigned second = static_cast<std::uint8_t>(characters[++i]);
      if ((second & 0xC0) != 0x80) return std::nullopt;
      character = ((character & 0x1F) << 6) | (second & 0x3F);
    }
    if (character >= kAlphabet.byte_of.size() || kAlphabet.byte_of[character] < 0) return std::nullopt;
    bytes += static_cast<char>(kAlphabet.byte_of[character]);
  }
  return bytes;
}

}  // namespace stoa::trainer

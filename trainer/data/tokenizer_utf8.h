#pragma once
/// One character of text that need not be valid UTF-8.
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace stoa::trainer {

struct Utf8Character {
  char32_t code_point;
  std::uint8_t bytes;
  bool is_valid;  ///< Otherwise one byte that starts no valid character.
};

/// The character that starts at `at`. Overlong forms, surrogates and code points above U+10FFFF are invalid.
/// REQUIRES: at < text.size().
inline Utf8Character utf8_character(std::string_view text, std::size_t at) {
  constexpr Utf8Character kInvalid{0, 1, false};
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[at + i]); };
  const std::uint8_t lead = byte(0);
  if (lead < 0x80) return {lead, 1, true};
  const std::uint8_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() - at < bytes) return kInvalid;
  char32_t code_point = lead & (0x7FU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return kInvalid;
    code_point = (code_point << 6) | (byte(i) & 0x3FU);
  }
  const bool overlong = (bytes == 3 && code_point < 0x800) || (bytes == 4 && code_point < 0x10000);
  if (overlong || code_point > 0x10FFFF || (code_point >= 0xD800 && code_point < 0xE000)) return kInvalid;
  return {code_point, bytes, true};
}

}  // namespace stoa::trainer

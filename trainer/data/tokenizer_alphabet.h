#pragma once
/// GPT-2's byte alphabet: each of the 256 bytes is written as one printable Unicode character, so that tokens that are
/// no whole UTF-8 text can stand in a JSON file. Printable bytes of Latin-1 stand for themselves, the others for
/// U+0100, U+0101, ...
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace stoa::trainer {

/// The bytes in the order of their characters: the ids 0..255 of a tokenizer trained here, as in GPT-2's vocabulary.
const std::array<std::uint8_t, 256>& bytes_in_alphabet_order();

/// Bytes to the characters that stand for them, in UTF-8.
std::string to_alphabet(std::string_view bytes);
/// The reverse; nothing where a character is not of the alphabet.
std::optional<std::string> from_alphabet(std::string_view characters);

}  // namespace stoa::trainer

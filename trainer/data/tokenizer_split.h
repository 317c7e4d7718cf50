#pragma once
/// Cuts text into pre-tokens, as the patterns of GPT-2 and Llama 3 do, by hand: 64 bytes of ASCII at once where the
/// processor can (tokenizer_split_bits.h); else eight bytes of letters, one table look-up a byte for other ASCII.
///   GPT-2    's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
///   Llama 3  (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|
///            \s*[\r\n]+|\s+(?!\S)|\s+         ((?i:s) is also U+017F, the long s)
/// Text need not be valid UTF-8: a byte that starts no valid character counts as one character of the class "other"
/// (neither space, letter nor number). Overlong forms, surrogates and code points above U+10FFFF are invalid.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace stoa::trainer {

/// Whose pattern cuts the text.
enum class PreTokenizer : std::uint8_t { kGpt2, kLlama3 };

/// Length of the pre-token at `begin`; at least 1. REQUIRES: begin < text.size() is where a pre-token ends or the text
/// begins. Any thread.
std::size_t pre_token_length(PreTokenizer kind, std::string_view text, std::size_t begin);

/// Where the pre-tokens from `begin` on end, the first ends.size() of them; how many there were. The same as calling
/// pre_token_length again and again, and faster. REQUIRES: as above, also begin == text.size(), which gives 0.
std::size_t pre_token_ends(PreTokenizer kind, std::string_view text, std::size_t begin, std::span<std::size_t> ends);

}  // namespace stoa::trainer

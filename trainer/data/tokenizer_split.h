#pragma once
/// Cuts text into pre-tokens as GPT-2's pattern does, by hand: one table look-up a byte of ASCII.
///   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
/// Text need not be valid UTF-8: a byte that starts no valid character counts as one character of the class "other"
/// (neither space, letter nor number). Overlong forms, surrogates and code points above U+10FFFF are invalid.
#include <cstddef>
#include <string_view>

namespace stoa::trainer {

/// Length of the pre-token at `begin`; at least 1. REQUIRES: begin < text.size() is where a pre-token ends or the text
/// begins. Any thread.
std::size_t pre_token_length(std::string_view text, std::size_t begin);

}  // namespace stoa::trainer

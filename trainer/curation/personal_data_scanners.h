#pragma once
/// The scanner of each kind, tried where its first sign stands; find_personal_data calls them. Each looks at a bounded
/// number of bytes around `at`. For tests and for personal_data.cc.
#include <cstddef>
#include <optional>
#include <string_view>

namespace stoa::trainer {

struct ByteRange {
  std::size_t begin = 0, end = 0;
};

/// `at` is the '@'.
std::optional<ByteRange> email_at(std::string_view text, std::size_t at);
/// `at` is the first digit of a run of digits.
std::optional<ByteRange> ipv4_at(std::string_view text, std::size_t at);
/// `at` is a '2' or '3'.
std::optional<ByteRange> ipv6_at(std::string_view text, std::size_t at);
/// `at` is the '+'.
std::optional<ByteRange> phone_at(std::string_view text, std::size_t at);
/// `at` is the first digit of a run of digits.
std::optional<ByteRange> card_at(std::string_view text, std::size_t at);
/// `at` is the first of two capital letters before a digit.
std::optional<ByteRange> iban_at(std::string_view text, std::size_t at);

/// ISO/IEC 7812-1 annex B. REQUIRES: digits.
bool luhn_is_right(std::string_view digits);
/// ISO 13616: capital letters and digits, country and check digits first.
bool iban_remainder_is_right(std::string_view iban);

}  // namespace stoa::trainer

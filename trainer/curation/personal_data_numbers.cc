// Network addresses and telephone numbers: personal_data_scanners.h.
#include <algorithm>
#include <array>

#include "stoa/trainer/curation/personal_data_scanners.h"
#include "stoa/trainer/curation/text_units.h"

namespace stoa::trainer {
namespace {

constexpr bool is_alphanumeric(char c) { return is_ascii_letter(c) || is_ascii_digit(c); }
constexpr bool is_hexadecimal(char c) { return is_ascii_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
char byte_at(std::string_view text, std::size_t at) { return at < text.size() ? text[at] : '\0'; }
char byte_before(std::string_view text, std::size_t at) { return at > 0 ? text[at - 1] : '\0'; }

using Octets = std::array<int, 4>;

/// IANA's registry of special-purpose IPv4 addresses, and multicast and above.
bool is_public(const Octets& o) {
  if (o[0] == 0 || o[0] == 10 || o[0] == 127 || o[0] >= 224) return false;
  if (o[0] == 100 && o[1] >= 64 && o[1] < 128) return false;
  if (o[0] == 169 && o[1] == 254) return false;
  if (o[0] == 172 && o[1] >= 16 && o[1] < 32) return false;
  if (o[0] == 192 && (o[1] == 168 || (o[1] == 0 && (o[2] == 0 || o[2] == 2)))) return false;
  if (o[0] == 198 && (o[1] == 18 || o[1] == 19 || (o[1] == 51 && o[2] == 100))) return false;
  return !(o[0] == 203 && o[1] == 0 && o[2] == 113);
}

/// The word before `at`, spaces, colons and full stops between them aside, in small letters; at most twelve bytes of
/// it.
std::string word_before(std::string_view text, std::size_t at) {
  const std::size_t earliest = at > 16 ? at - 16 : 0;
  while (at > earliest && (text[at - 1] == ' ' || text[at - 1] == ':' || text[at - 1] == '.')) --at;
  std::size_t begin = at;
  while (begin > earliest && is_ascii_letter(text[begin - 1])) --begin;
  std::string word(text.substr(begin, at - begin));
  std::transform(word.begin(), word.end(), word.begin(), ascii_lower);
  return word;
}

bool announces_a_version(std::string_view word) {
  static constexpr std::string_view kWords[] = {"version",  "versions", "ver",     "v",        "release",  "rev",
                                                "revision", "build",    "section", "chapter",  "sec",      "update",
                                                "firmware", "clause",   "oid",     "appendix", "paragraph"};
  return std::find(std::begin(kWords), std::end(kWords), word) != std::end(kWords);
}

/// Country codes of two digits (ITU-T E.164, 2016); 1 and 7 have one, all others three.
bool is_two_digit_code(int code) {
  static constexpr int kCodes[] = {20, 27, 30, 31, 32, 33, 34, 36, 39, 40, 41, 43, 44, 45, 46,
                                   47, 48, 49, 51, 52, 53, 54, 55, 56, 57, 58, 60, 61, 62, 63,
                                   64, 65, 66, 81, 82, 84, 86, 90, 91, 92, 93, 94, 95, 98};
  return std::binary_search(std::begin(kCodes), std::end(kCodes), code);
}
bool begins_three_digit_code(int two_digits) {
  static constexpr int kBegins[] = {21, 22, 23, 24, 25, 26, 29, 35, 37, 38, 42, 50,
                                    59, 67, 68, 69, 80, 85, 87, 88, 96, 97, 99};
  return std::binary_search(std::begin(kBegins), std::end(kBegins), two_digits);
}

bool is_phone_number(int first_two, int digits) {
  if (first_two / 10 == 1 || first_two / 10 == 7) return digits == 11;
  return digits >= 8 && digits <= 15 && (is_two_digit_code(first_two) || begins_three_digit_code(first_two));
}

/// Bytes between two groups of digits of a telephone number: one of ' ', '-', '.', '/', or brackets with a space beside
/// them; 0 where the number ends.
std::size_t phone_separator(std::string_view text, std::size_t at) {
  std::size_t bytes = 0;
  while (bytes < 3 && std::string_view(" -./()").find(byte_at(text, at + bytes)) != std::string_view::npos) ++bytes;
  if (!is_ascii_digit(byte_at(text, at + bytes))) return 0;
  const std::string_view between = text.substr(at, bytes);
  if (bytes == 1) return 1;
  return between == " (" || between == ") " || between == ")-" || between == "-(" || between == ")/" ? bytes : 0;
}

}  // namespace

std::optional<ByteRange> ipv4_at(std::string_view text, std::size_t at) {
  const char before = byte_before(text, at);
  if (is_alphanumeric(before) || before == '.' || before == '-' || before == '_') return std::nullopt;
  // "Firefox/91.0.1.2" is a product; "http://91.0.1.2" is an address.
  if (before == '/' && at > 1 && is_alphanumeric(text[at - 2])) return std::nullopt;
  Octets octets{};
  bool one_digit_each = true;
  std::size_t i = at;
  for (std::size_t part = 0; part < 4; ++part) {
    if (part > 0 && byte_at(text, i++) != '.') return std::nullopt;
    const std::size_t begin = i;
    for (; is_ascii_digit(byte_at(text, i)) && i - begin < 4; ++i) octets[part] = 10 * octets[part] + (text[i] - '0');
    if (i == begin || i - begin > 3 || octets[part] > 255 || (text[begin] == '0' && i - begin > 1)) return std::nullopt;
    one_digit_each &= i - begin == 1;
  }
  const char after = byte_at(text, i);
  if (is_alphanumeric(after) || after == '_' || after == '-') return std::nullopt;
  if (after == '.' && is_alphanumeric(byte_at(text, i + 1))) return std::nullopt;
  if (one_digit_each || !is_public(octets) || announces_a_version(word_before(text, at))) return std::nullopt;
  return ByteRange{at, i};
}

std::optional<ByteRange> ipv6_at(std::string_view text, std::size_t at) {
  const char before = byte_before(text, at);
  if (is_alphanumeric(before) || before == ':' || before == '.' || before == '_') return std::nullopt;
  int groups = 0, first = 0, second = 0;
  bool is_shortened = false;
  std::size_t i = at, end = at;
  while (groups < 8) {
    const std::size_t begin = i;
    int value = 0;
    for (; is_hexadecimal(byte_at(text, i)) && i - begin < 5; ++i) {
      const char c = ascii_lower(text[i]);
      value = 16 * value + (is_ascii_digit(c) ? c - '0' : c - 'a' + 10);
    }
    if (i - begin > 4) return std::nullopt;
    if (i == begin) break;
    (groups == 0 ? first : groups == 1 && !is_shortened ? second : value) = value;
    ++groups;
    end = i;
    if (groups == 1 && i - begin != 4) return std::nullopt;
    if (byte_at(text, i) != ':' || groups == 8) break;
    if (byte_at(text, i + 1) == ':') {
      if (is_shortened) break;
      is_shortened = true;
      i += 2;
      end = i;
    } else {
      ++i;
    }
  }
  if (!is_shortened && groups != 8) return std::nullopt;
  if (is_shortened && groups > 7) return std::nullopt;
  const char after = byte_at(text, end);
  if (is_alphanumeric(after) || after == '_' || (after == ':' && is_hexadecimal(byte_at(text, end + 1))))
    return std::nullopt;
  // 2000::/3 without documentation (2001:db8::/32, 3fff::/20).
  if (first < 0x2000 || first > 0x3FFF || (first == 0x2001 && second == 0x0DB8) || first == 0x3FFF) return std::nullopt;
  return ByteRange{at, end};
}

std::optional<ByteRange> phone_at(std::string_view text, std::size_t at) {
  const char before = byte_before(text, at);
  if (is_alphanumeric(before) || before == '+' || before == '.' || before == ')') return std::nullopt;
  std::size_t i = at + 1, end = 0;
  if (byte_at(text, i) < '1' || byte_at(text, i) > '9') return std::nullopt;
  int digits = 0, first_two = 0;
  for (;;) {
    while (is_ascii_digit(byte_at(text, i)) && digits <= 15) {
      if (digits < 2) first_two = 10 * first_two + (text[i] - '0');
      ++digits;
      ++i;
    }
    if (digits > 15 || is_alphanumeric(byte_at(text, i))) break;
    if (is_phone_number(first_two, digits)) end = i;  // the longest one that ends with a group
    const std::size_t separator = phone_separator(text, i);
    if (separator == 0) break;
    i += separator;
  }
  if (end == 0) return std::nullopt;
  return ByteRange{at, end};
}

}  // namespace stoa::trainer

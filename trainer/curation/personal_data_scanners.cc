#include "stoa/trainer/curation/personal_data_scanners.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "stoa/trainer/curation/text_units.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kLongestLocalPart = 64, kLongestDomain = 253, kLongestLabel = 63;

constexpr bool is_alphanumeric(char c) { return is_ascii_letter(c) || is_ascii_digit(c); }

bool is_local_part(char c) {
  return is_alphanumeric(c) || std::string_view("!#$%&'*+-=?^_`{|}~.").find(c) != std::string_view::npos;
}

char byte_at(std::string_view text, std::size_t at) { return at < text.size() ? text[at] : '\0'; }
char byte_before(std::string_view text, std::size_t at) { return at > 0 ? text[at - 1] : '\0'; }

/// "icon@2x.png" and the like.
bool names_a_file(std::string_view label) {
  static constexpr std::string_view kTypes[] = {"png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "ico", "css", "js"};
  return std::find(std::begin(kTypes), std::end(kTypes), label) != std::end(kTypes);
}

/// The end of a host name of two labels or more whose last has only letters; `begin` where there is none.
std::size_t domain_end(std::string_view text, std::size_t begin) {
  std::size_t end = begin;
  int labels = 0;
  for (std::size_t label = begin; label - begin < kLongestDomain;) {
    std::size_t at = label;
    bool only_letters = true;
    while (at < text.size() && at - label < kLongestLabel && (is_alphanumeric(text[at]) || text[at] == '-')) {
      only_letters &= is_ascii_letter(text[at]);
      ++at;
    }
    if (at == label || text[label] == '-' || text[at - 1] == '-') break;
    ++labels;
    if (labels > 1 && only_letters && at - label >= 2 && !names_a_file(text.substr(label, at - label))) end = at;
    if (byte_at(text, at) != '.') break;
    label = at + 1;
  }
  return end;
}

struct CardNetwork {
  int least, most;  ///< first four digits
  std::size_t shortest, longest;
};
constexpr CardNetwork kNetworks[] = {
    {2221, 2720, 16, 16}, {3000, 3059, 14, 19}, {3400, 3499, 15, 15}, {3528, 3589, 16, 19}, {3600, 3699, 14, 19},
    {3700, 3799, 15, 15}, {3800, 3999, 16, 19}, {4000, 4999, 13, 19}, {5018, 5018, 13, 19}, {5020, 5020, 13, 19},
    {5038, 5038, 13, 19}, {5100, 5599, 16, 16}, {5893, 5893, 13, 19}, {6011, 6011, 16, 19}, {6200, 6299, 16, 19},
    {6304, 6304, 13, 19}, {6440, 6599, 16, 19}, {6759, 6763, 13, 19},
};

bool is_of_a_network(std::string_view digits) {
  int first = 0;
  std::from_chars(digits.data(), digits.data() + 4, first);
  return std::any_of(std::begin(kNetworks), std::end(kNetworks), [&](const CardNetwork& network) {
    return first >= network.least && first <= network.most && digits.size() >= network.shortest &&
           digits.size() <= network.longest;
  });
}

/// As printed: 4 4 4 4 and 4 4 4 4 3, 4 6 5, 4 6 4; or one piece.
bool are_card_groups(std::string_view groups) {
  static constexpr std::string_view kPrinted[] = {"4444", "44443", "465", "464"};
  return groups.size() == 1 || std::find(std::begin(kPrinted), std::end(kPrinted), groups) != std::end(kPrinted);
}

struct IbanCountry {
  char code[3];
  std::uint8_t length;
};
constexpr IbanCountry kIbanCountries[] = {
    {"AD", 24}, {"AE", 23}, {"AL", 28}, {"AT", 20}, {"AZ", 28}, {"BA", 20}, {"BE", 16}, {"BG", 22}, {"BH", 22},
    {"BR", 29}, {"BY", 28}, {"CH", 21}, {"CR", 22}, {"CY", 28}, {"CZ", 24}, {"DE", 22}, {"DK", 18}, {"DO", 28},
    {"EE", 20}, {"EG", 29}, {"ES", 24}, {"FI", 18}, {"FO", 18}, {"FR", 27}, {"GB", 22}, {"GE", 22}, {"GI", 23},
    {"GL", 18}, {"GR", 27}, {"GT", 28}, {"HR", 21}, {"HU", 28}, {"IE", 22}, {"IL", 23}, {"IQ", 23}, {"IS", 26},
    {"IT", 27}, {"JO", 30}, {"KW", 30}, {"KZ", 20}, {"LB", 28}, {"LC", 32}, {"LI", 21}, {"LT", 20}, {"LU", 20},
    {"LV", 21}, {"LY", 25}, {"MC", 27}, {"MD", 24}, {"ME", 22}, {"MK", 19}, {"MR", 27}, {"MT", 31}, {"MU", 30},
    {"NL", 18}, {"NO", 15}, {"PK", 24}, {"PL", 28}, {"PS", 29}, {"PT", 25}, {"QA", 29}, {"RO", 24}, {"RS", 22},
    {"SA", 24}, {"SC", 31}, {"SD", 18}, {"SE", 24}, {"SI", 19}, {"SK", 24}, {"SM", 27}, {"ST", 25}, {"SV", 28},
    {"TL", 23}, {"TN", 24}, {"TR", 26}, {"UA", 29}, {"VA", 22}, {"VG", 24}, {"XK", 20},
};

}  // namespace

bool luhn_is_right(std::string_view digits) {
  int sum = 0;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    const int digit = digits[digits.size() - 1 - i] - '0';
    const int weighted = i % 2 == 0 ? digit : 2 * digit;
    sum += weighted > 9 ? weighted - 9 : weighted;
  }
  return sum % 10 == 0;
}

bool iban_remainder_is_right(std::string_view iban) {
  int remainder = 0;
  for (std::size_t i = 0; i < iban.size(); ++i) {
    const char c = iban[(i + 4) % iban.size()];
    remainder = is_ascii_digit(c) ? (10 * remainder + (c - '0')) % 97 : (100 * remainder + (c - 'A' + 10)) % 97;
  }
  return remainder == 1;
}

std::optional<ByteRange> email_at(std::string_view text, std::size_t at) {
  std::size_t begin = at;
  while (begin > 0 && at - begin <= kLongestLocalPart && is_local_part(text[begin - 1])) --begin;
  if (at - begin > kLongestLocalPart) return std::nullopt;
  while (begin < at && !is_alphanumeric(text[begin])) ++begin;  // quotes, brackets and dots before it
  const std::string_view local = text.substr(begin, at - begin);
  if (local.empty() || local.back() == '.' || local.find("..") != std::string_view::npos) return std::nullopt;
  const std::size_t end = domain_end(text, at + 1);
  if (end == at + 1) return std::nullopt;
  return ByteRange{begin, end};
}

std::optional<ByteRange> card_at(std::string_view text, std::size_t at) {
  const char before = byte_before(text, at);
  const bool follows_digit = at > 1 && is_ascii_digit(text[at - 2]);
  if (is_alphanumeric(before) || (follows_digit && (before == '.' || before == ',' || before == '-')))
    return std::nullopt;
  std::array<char, 19> digits{};
  std::size_t count = 0, end = 0;
  std::string groups(1, '0');  // digits of each
  char separator = '\0';
  for (std::size_t i = at;;) {
    for (; is_ascii_digit(byte_at(text, i)); ++i) {
      if (count == digits.size()) return end == 0 ? std::nullopt : std::optional(ByteRange{at, end});
      digits[count++] = text[i];
      groups.back() = static_cast<char>(std::min(groups.back() + 1, static_cast<int>('9')));
    }
    const char c = byte_at(text, i);
    const bool more_follows = is_ascii_digit(byte_at(text, i + 1));
    const std::string_view number(digits.data(), count);
    // Groups after a group of their own kind are part of a longer number.
    const bool stands_alone = !(groups.size() > 1 && before == separator && follows_digit) && !is_alphanumeric(c) &&
                              !((c == '.' || c == '-') && more_follows);
    if (count >= 13 && stands_alone && are_card_groups(groups) && is_of_a_network(number) && luhn_is_right(number))
      end = i;
    const bool separates = (c == ' ' || c == '-') && (separator == '\0' || c == separator);
    if (!separates || !more_follows || groups.size() == 5 || groups.back() > '6') break;
    separator = c;
    groups += '0';
    ++i;
  }
  if (end == 0) return std::nullopt;
  return ByteRange{at, end};
}

std::optional<ByteRange> iban_at(std::string_view text, std::size_t at) {
  if (is_alphanumeric(byte_before(text, at))) return std::nullopt;
  const std::string_view code = text.substr(at, 2);
  const auto country = std::find_if(std::begin(kIbanCountries), std::end(kIbanCountries),
                                    [&](const IbanCountry& c) { return code == std::string_view(c.code, 2); });
  if (country == std::end(kIbanCountries)) return std::nullopt;
  const auto belongs = [](char c) { return is_ascii_digit(c) || (c >= 'A' && c <= 'Z'); };
  const bool is_grouped = byte_at(text, at + 4) == ' ';
  std::array<char, 34> iban{};
  std::size_t count = 0, i = at;
  while (count < country->length) {
    if (is_grouped && count > 0 && count % 4 == 0 && byte_at(text, i) == ' ') ++i;
    if (!belongs(byte_at(text, i))) return std::nullopt;
    iban[count++] = text[i++];
  }
  if (is_alphanumeric(byte_at(text, i)) || !iban_remainder_is_right({iban.data(), count})) return std::nullopt;
  return ByteRange{at, i};
}

}  // namespace stoa::trainer

#include "stoa/trainer/curation/personal_data.h"

#include <algorithm>

#include "stoa/trainer/curation/personal_data_scanners.h"
#include "stoa/trainer/curation/text_units.h"

namespace stoa::trainer {
namespace {

constexpr std::string_view kNames[kPersonalDataKinds] = {"email", "ip", "phone", "card", "iban"};
constexpr std::string_view kPlaceholders[kPersonalDataKinds] = {"<EMAIL>", "<IP>", "<PHONE>", "<CARD>", "<IBAN>"};

/// Bytes at which something may begin; text between them is passed over quickly.
constexpr std::array<bool, 256> kSigns = [] {
  std::array<bool, 256> signs{};
  for (const unsigned char c : {'@', '+'}) signs[c] = true;
  for (unsigned char c = '0'; c <= '9'; ++c) signs[c] = true;
  return signs;
}();

void add(std::vector<PersonalData>& found, ByteRange range, PersonalDataKind kind) {
  // Only the last ones can overlap: the places come nearly in order.
  while (!found.empty() && found.back().end > range.begin) {
    if (found.back().end - found.back().begin >= range.end - range.begin) return;
    found.pop_back();
  }
  found.push_back({range.begin, range.end, kind});
}

constexpr bool is_capital(char c) { return c >= 'A' && c <= 'Z'; }

}  // namespace

std::string_view personal_data_name(PersonalDataKind kind) { return kNames[static_cast<std::size_t>(kind)]; }

std::string_view personal_data_placeholder(PersonalDataKind kind) {
  return kPlaceholders[static_cast<std::size_t>(kind)];
}

void find_personal_data(std::string_view text, const PersonalDataKinds& kinds, std::vector<PersonalData>& found) {
  using enum PersonalDataKind;
  found.clear();
  const auto try_kind = [&](PersonalDataKind kind, auto scanner, std::size_t at) {
    if (!kinds[kind]) return;
    if (const auto range = scanner(text, at)) add(found, *range, kind);
  };
  for (std::size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (!kSigns[static_cast<unsigned char>(c)]) continue;
    if (c == '@') {
      try_kind(kEmail, email_at, at);
    } else if (c == '+') {
      try_kind(kPhone, phone_at, at);
    } else {
      if (at > 1 && is_capital(text[at - 1]) && is_capital(text[at - 2])) try_kind(kIban, iban_at, at - 2);
      if (c == '2' || c == '3') try_kind(kIp, ipv6_at, at);
      try_kind(kIp, ipv4_at, at);
      try_kind(kCard, card_at, at);
      while (at + 1 < text.size() && is_ascii_digit(text[at + 1])) ++at;
    }
  }
}

std::string without_personal_data(std::string_view text, const std::vector<PersonalData>& found) {
  std::string cleaned;
  cleaned.reserve(text.size());
  std::size_t copied = 0;
  for (const PersonalData& place : found) {
    cleaned += text.substr(copied, place.begin - copied);
    cleaned += personal_data_placeholder(place.kind);
    copied = place.end;
  }
  cleaned += text.substr(copied);
  return cleaned;
}

}  // namespace stoa::trainer

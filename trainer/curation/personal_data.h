#pragma once
/// Finds personal data by its form. Scanners by hand, one pass, time linear in the text whatever the bytes are. Letters
/// and digits are ASCII here: an address in another script is not found.
///
/// - email: a local part (RFC 5322 dot-atom, at most 64) @ a domain of two labels or more, the last of letters. Not
///   "icon@2x.png": a last label that names an image or style file. In a URL the part user:password@host counts from
///   the last ':' or '/' on.
/// - ip: an IPv4 address in four decimal numbers, or an IPv6 address of the global unicast range 2000::/3, that is not
///   reserved (private, loopback, link-local, shared, documentation, benchmark, multicast). Not a version number: after
///   a letter, '/', "version", "release", "section" and the like, or with four one-digit numbers.
/// - phone: '+', an assigned country code and 8 to 15 digits in all (ITU-T E.164; 11 with codes 1 and 7), with single
///   spaces, '-', '.', '/' or brackets between them.
/// - card: 13 to 19 digits of a card network's range (ISO/IEC 7812) whose Luhn sum is right, in one piece or in the
/// groups
///   that are printed on cards, between other characters than letters and digits.
/// - iban: an assigned country code with its length, in capital letters, in one piece or in groups of four, whose
///   remainder by 97 is 1 (ISO 13616).
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace stoa::trainer {

enum class PersonalDataKind : std::uint8_t { kEmail, kIp, kPhone, kCard, kIban };
inline constexpr std::size_t kPersonalDataKinds = 5;

/// "email", ...
std::string_view personal_data_name(PersonalDataKind kind);
/// "<EMAIL>", ...
std::string_view personal_data_placeholder(PersonalDataKind kind);

struct PersonalDataKinds {
  std::array<bool, kPersonalDataKinds> wanted{true, true, true, true, true};
  bool operator[](PersonalDataKind kind) const { return wanted[static_cast<std::size_t>(kind)]; }
};

struct PersonalData {
  std::size_t begin = 0, end = 0;  ///< bytes
  PersonalDataKind kind = PersonalDataKind::kEmail;
};

/// Into `found` (cleared first), in order and without overlaps; of two that overlap the longer one stays. Any bytes.
void find_personal_data(std::string_view text, const PersonalDataKinds& kinds, std::vector<PersonalData>& found);

/// The text with a placeholder in every place. REQUIRES: `found` of this text.
std::string without_personal_data(std::string_view text, const std::vector<PersonalData>& found);

}  // namespace stoa::trainer

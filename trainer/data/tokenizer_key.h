#pragma once
/// A short pre-token as three words, for the tables of the encoder.
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <utility>

namespace stoa::trainer {

/// Of 24 bytes the first `size`.
struct LeadingBytes {
  std::uint64_t words[3] = {0, 0, 0};

  constexpr explicit LeadingBytes(std::size_t size) {
    for (std::size_t i = 0; i < size; ++i) words[i / 8] |= std::uint64_t{0xFF} << (8 * (i % 8));
  }
};
inline constexpr auto kLeadingBytes = []<std::size_t... sizes>(std::index_sequence<sizes...>) {
  return std::array<LeadingBytes, sizeof...(sizes)>{LeadingBytes(sizes)...};
}
(std::make_index_sequence<24>());

/// The bytes of a pre-token, zeros, and in the last byte its length. All zeros: none.
struct PreTokenKey {
  static constexpr std::size_t kLongest = 23;

  std::uint64_t words[3] = {0, 0, 0};

  /// REQUIRES: at most kLongest bytes.
  static PreTokenKey of(std::string_view pre_token) {
    PreTokenKey key;
    std::memcpy(key.words, pre_token.data(), pre_token.size());
    reinterpret_cast<unsigned char*>(key.words)[kLongest] = static_cast<unsigned char>(pre_token.size());
    return key;
  }

  /// The same, faster. REQUIRES: kLongest + 1 bytes can be read.
  static PreTokenKey of_readable(const char* pre_token, std::size_t size) {
    if constexpr (std::endian::native != std::endian::little) return of({pre_token, size});
    PreTokenKey key;
    std::memcpy(key.words, pre_token, sizeof key.words);
    const LeadingBytes& mask = kLeadingBytes[size];
    for (int i = 0; i < 3; ++i) key.words[i] &= mask.words[i];
    key.words[2] |= static_cast<std::uint64_t>(size) << 56;
    return key;
  }

  std::size_t size() const { return reinterpret_cast<const unsigned char*>(words)[kLongest]; }
  bool is_none() const { return words[2] == 0; }

  bool operator==(const PreTokenKey& other) const {
    return ((words[0] ^ other.words[0]) | (words[1] ^ other.words[1]) | (words[2] ^ other.words[2])) == 0;
  }

  /// A folded product, after wyhash.
  std::uint64_t hash() const {
    const auto product =
        static_cast<unsigned __int128>(words[0] ^ 0xA0761D6478BD642FU ^ words[2]) * (words[1] ^ 0xE7037ED1A0B428DBU);
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64) ^ words[2] >> 56;
  }
};

}  // namespace stoa::trainer

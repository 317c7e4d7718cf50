#pragma once
/// Pre-token -> its tokens, for the encoder. Each slot is one cache line and keeps the pre-token that came last:
/// frequent ones are there nearly always, memory is bounded, whatever the text.
#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

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

class PreTokenCache {
 public:
  static constexpr std::size_t kLongestText = 23;
  static constexpr std::size_t kMostTokens = 9;

  /// A pre-token of at most kLongestText bytes: its bytes, zeros, and in the last byte its length.
  struct Key {
    std::uint64_t words[3] = {0, 0, 0};

    bool operator==(const Key& other) const {
      return ((words[0] ^ other.words[0]) | (words[1] ^ other.words[1]) | (words[2] ^ other.words[2])) == 0;
    }
  };

  struct alignas(64) Slot {
    Key key;  ///< All zeros, length 0: free
    std::int32_t token_count = 0;
    std::int32_t tokens[kMostTokens] = {};

    void put(const Key& new_key, std::span<const std::int32_t> new_tokens) {
      key = new_key;
      token_count = static_cast<std::int32_t>(new_tokens.size());
      std::copy(new_tokens.begin(), new_tokens.end(), tokens);
    }
  };
  static_assert(sizeof(Slot) == 64);

  /// REQUIRES: 1 to kLongestText bytes.
  static Key key_of(std::string_view pre_token) {
    Key key;
    std::memcpy(key.words, pre_token.data(), pre_token.size());
    reinterpret_cast<unsigned char*>(key.words)[kLongestText] = static_cast<unsigned char>(pre_token.size());
    return key;
  }

  /// The same; faster, since the bytes after the pre-token may be read. REQUIRES: kLongestText + 1 readable bytes.
  static Key key_of_readable(const char* pre_token, std::size_t size) {
    if constexpr (std::endian::native != std::endian::little) return key_of({pre_token, size});
    Key key;
    std::memcpy(key.words, pre_token, sizeof key.words);
    const LeadingBytes& mask = kLeadingBytes[size];
    for (int i = 0; i < 3; ++i) key.words[i] &= mask.words[i];
    key.words[2] |= static_cast<std::uint64_t>(size) << 56;
    return key;
  }

  /// Where `key` is or would be.
  Slot& slot_for(const Key& key) {
    // After wyhash: folded products.
    const std::uint64_t hash =
        folded(key.words[0] ^ 0xA0761D6478BD642FU ^ key.words[2], key.words[1] ^ 0xE7037ED1A0B428DBU);
    return slots_[(hash ^ key.words[2] >> 56) & (slots_.size() - 1)];
  }

 private:
  static std::uint64_t folded(std::uint64_t a, std::uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
  }

  std::vector<Slot> slots_{std::size_t{1} << 16};
};

}  // namespace stoa::trainer

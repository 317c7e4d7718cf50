#pragma once
/// Pre-token -> its tokens, for the encoder. Frequent ones are there nearly always; memory is bounded, whatever the
/// text. A short pre-token of few tokens, as most are, takes half a cache line, and two of them may stand in each line;
/// others take a line, which keeps the one that came last.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "stoa/trainer/data/tokenizer_key.h"

namespace stoa::trainer {

class PreTokenCache {
 public:
  static constexpr std::size_t kMostTokens = 9;

  class alignas(32) Short {
   public:
    static constexpr std::size_t kLongest = 15;
    static constexpr std::size_t kMostTokens = 4;

    Short() = default;
    /// REQUIRES: a key of at most kLongest bytes; at most kMostTokens tokens, or none, which means that a Slot has
    /// them.
    Short(const PreTokenKey& key, std::span<const std::int32_t> tokens)
        : first_(key.words[0]), second_(second_of(key) | tokens.size() << kCountShift) {
      std::copy(tokens.begin(), tokens.end(), tokens_);
    }

    bool is(const PreTokenKey& key) const {
      return ((first_ ^ key.words[0]) | ((second_ ^ second_of(key)) & ~kCount)) == 0;
    }
    std::size_t token_count() const { return second_ >> kCountShift & 0xF; }
    /// kMostTokens of them can be read.
    const std::int32_t* tokens() const { return tokens_; }

   private:
    static constexpr int kCountShift = std::endian::native == std::endian::little ? 60 : 4;
    static constexpr std::uint64_t kCount = std::uint64_t{0xF} << kCountShift;
    static std::uint64_t second_of(const PreTokenKey& key) { return key.words[1] | key.words[2]; }

    std::uint64_t first_ = 0;
    std::uint64_t second_ = 0;  ///< The last byte is the length and, above it, the number of tokens.
    std::int32_t tokens_[kMostTokens] = {};
  };

  /// Two short ones, the later first.
  struct alignas(64) Pair {
    Short ways[2];

    /// Where `key` is, if it is there.
    const Short& of(const PreTokenKey& key) const { return ways[ways[0].is(key) ? 0 : 1]; }
    void put(const Short& one) {
      ways[1] = ways[0];
      ways[0] = one;
    }
  };

  struct alignas(64) Slot {
    PreTokenKey key;  ///< none: free
    std::int32_t token_count = 0;
    std::int32_t tokens[kMostTokens] = {};

    void put(const PreTokenKey& new_key, std::span<const std::int32_t> new_tokens) {
      key = new_key;
      token_count = static_cast<std::int32_t>(new_tokens.size());
      std::copy(new_tokens.begin(), new_tokens.end(), tokens);
    }
  };
  static_assert(sizeof(Pair) == 64 && sizeof(Slot) == 64);

  /// With room for that many pre-tokens, but at least 64 and at most 131,072 of the short ones (4 MiB) and an eighth of
  /// that of the others (1 MiB).
  explicit PreTokenCache(std::size_t pre_tokens)
      : pairs_(std::bit_ceil(std::clamp<std::size_t>(pre_tokens, 64, std::size_t{1} << 17)) / 2),
        slots_(pairs_.size() / 4) {}

  /// Where `key` is or would be. REQUIRES: at most Short::kLongest bytes.
  Pair& pair_for(const PreTokenKey& key) { return pairs_[key.hash() & (pairs_.size() - 1)]; }
  Slot& slot_for(const PreTokenKey& key) { return slots_[key.hash() & (slots_.size() - 1)]; }

 private:
  std::vector<Pair> pairs_;
  std::vector<Slot> slots_;
};

}  // namespace stoa::trainer

#pragma once
/// Pre-token -> its tokens, for the encoder. Each slot is one cache line and keeps the pre-token that came last:
/// frequent ones are there nearly always, memory is bounded, whatever the text.
#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "stoa/trainer/data/tokenizer_key.h"

namespace stoa::trainer {

class PreTokenCache {
 public:
  static constexpr std::size_t kMostTokens = 9;

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
  static_assert(sizeof(Slot) == 64);

  /// With room for that many pre-tokens, but at least 64 and at most 131,072 (8 MiB).
  explicit PreTokenCache(std::size_t pre_tokens)
      : slots_(std::bit_ceil(std::clamp<std::size_t>(pre_tokens, 64, std::size_t{1} << 17))) {}

  /// Where `key` is or would be.
  Slot& slot_for(const PreTokenKey& key) { return slots_[key.hash() & (slots_.size() - 1)]; }

 private:
  std::vector<Slot> slots_;
};

}  // namespace stoa::trainer

#pragma once
/// Tokens by their bytes, for tokenizers that ignore merges where a pre-token is a token.
#include <bit>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "stoa/trainer/data/tokenizer_key.h"

namespace stoa::trainer {

class WholeTokens {
 public:
  /// Room for `count` tokens.
  explicit WholeTokens(std::size_t count)
      : entries_(std::size_t{1} << std::bit_width(2 * count)), maybe_((entries_.size() << kBitsShift) / 64 + 1) {}

  /// REQUIRES: at least one byte; not added before.
  void add(std::string_view bytes, std::int32_t id) {
    if (bytes.size() > PreTokenKey::kLongest) {
      long_.emplace(bytes, id);
      return;
    }
    const PreTokenKey key = PreTokenKey::of(bytes);
    const std::uint64_t bit = bit_of(key.hash());
    maybe_[bit / 64] |= std::uint64_t{1} << (bit % 64);
    std::size_t slot = key.hash() & (entries_.size() - 1);
    while (!entries_[slot].key.is_none()) slot = (slot + 1) & (entries_.size() - 1);
    entries_[slot] = {key, id};
  }

  /// Starts to fetch what find() will look at, if it may be there.
  void prefetch(const PreTokenKey& key) const {
    const std::uint64_t hash = key.hash();
    if (may_have(hash)) __builtin_prefetch(&entries_[hash & (entries_.size() - 1)]);
  }

  /// The token, or -1.
  std::int32_t find(std::string_view bytes) const {
    if (bytes.size() > PreTokenKey::kLongest) {
      const auto found = long_.find(bytes);
      return found == long_.end() ? -1 : found->second;
    }
    const PreTokenKey key = PreTokenKey::of(bytes);
    if (!may_have(key.hash())) return -1;
    for (std::size_t slot = key.hash() & (entries_.size() - 1);; slot = (slot + 1) & (entries_.size() - 1)) {
      if (entries_[slot].key == key) return entries_[slot].id;
      if (entries_[slot].key.is_none()) return -1;
    }
  }

 private:
  struct alignas(32) Entry {
    PreTokenKey key;
    std::int32_t id = -1;
  };
  static constexpr int kBitsShift = 3;
  std::uint64_t bit_of(std::uint64_t hash) const { return hash & ((entries_.size() << kBitsShift) - 1); }
  bool may_have(std::uint64_t hash) const { return (maybe_[bit_of(hash) / 64] >> (hash % 64) & 1) != 0; }

  std::vector<Entry> entries_;
  /// Eight bits an entry: most pre-tokens that are none are told by a bit, in a thirty-second of the memory.
  std::vector<std::uint64_t> maybe_;
  std::unordered_map<std::string_view, std::int32_t> long_;
};

}  // namespace stoa::trainer

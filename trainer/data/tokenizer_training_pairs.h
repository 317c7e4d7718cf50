#pragma once
/// Pairs of neighbouring tokens and a number for each: open addressing.
#include <cstdint>
#include <utility>
#include <vector>

namespace stoa::trainer {

/// Two ids in one number, which sorts as the pair does.
using TokenPair = std::uint64_t;
constexpr TokenPair pair_of(std::int32_t left, std::int32_t right) {
  return (static_cast<TokenPair>(left) << 32) | static_cast<TokenPair>(right);
}
constexpr std::int32_t left_of(TokenPair pair) { return static_cast<std::int32_t>(pair >> 32); }
constexpr std::int32_t right_of(TokenPair pair) { return static_cast<std::int32_t>(pair & 0xFFFFFFFFU); }

/// A pair that was never written has the number 0, and a pair with the number 0 may be forgotten. One thread at a
/// time; any number may read.
template <typename Number>
class PairTable {
 public:
  /// Borrowed until the next call.
  Number& operator[](TokenPair pair) {
    std::size_t slot = slot_of(pair);
    if (slots_[slot].first == pair) return slots_[slot].second;
    if (++used_ * 3 > slots_.size() * 2) {
      rehash();
      slot = slot_of(pair);
      ++used_;
    }
    slots_[slot].first = pair;
    return slots_[slot].second;
  }

  Number get(TokenPair pair) const {
    const auto& slot = slots_[slot_of(pair)];
    return slot.first == pair ? slot.second : Number{};
  }

  /// visit(pair, number) of all pairs whose number is not 0, in no particular order.
  template <typename Visit>
  void each(Visit visit) const {
    for (const auto& [pair, number] : slots_)
      if (pair != kFree && number != Number{}) visit(pair, number);
  }

  std::size_t memory_bytes() const { return slots_.size() * sizeof(slots_[0]); }

 private:
  static constexpr TokenPair kFree = ~TokenPair{0};
  static constexpr std::pair<TokenPair, Number> kEmpty{kFree, Number{}};

  /// Where the pair is or would be. splitmix64's finalizer: pairs of small ids differ in few bits.
  std::size_t slot_of(TokenPair pair) const {
    TokenPair hash = (pair ^ (pair >> 30)) * 0xBF58476D1CE4E5B9U;
    hash = (hash ^ (hash >> 27)) * 0x94D049BB133111EBU;
    const std::size_t mask = slots_.size() - 1;
    std::size_t slot = static_cast<std::size_t>(hash ^ (hash >> 31)) & mask;
    while (slots_[slot].first != pair && slots_[slot].first != kFree) slot = (slot + 1) & mask;
    return slot;
  }

  void rehash() {
    std::size_t kept = 0;
    each([&](TokenPair, Number) { ++kept; });
    std::vector<std::pair<TokenPair, Number>> old(kept * 3 > slots_.size() ? slots_.size() * 2 : slots_.size(), kEmpty);
    old.swap(slots_);
    used_ = kept;
    for (const auto& slot : old)
      if (slot.first != kFree && slot.second != Number{}) slots_[slot_of(slot.first)] = slot;
  }

  std::vector<std::pair<TokenPair, Number>> slots_ = std::vector<std::pair<TokenPair, Number>>(1024, kEmpty);
  std::size_t used_ = 0;
};

}  // namespace stoa::trainer

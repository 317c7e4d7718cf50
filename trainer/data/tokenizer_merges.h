#pragma once
/// The merges of a tokenizer and how one pre-token is merged, for tokenizer*.cc.
#include <cstdint>
#include <string_view>
#include <vector>

namespace stoa::trainer {

struct Merge {
  std::int32_t left;
  std::int32_t right;
  std::int32_t result;
};

/// Pair of ids -> rank and result of its merge: an array for pairs of small ids, which are the bytes in all known
/// tokenizers; open addressing, at most half full, for the others.
class MergeTable {
 public:
  static constexpr std::int32_t kNoMerge = 0x7FFFFFFF;

  struct Outcome {
    std::int32_t rank = kNoMerge;
    std::int32_t result = -1;
  };

  /// The rank of a merge is its place.
  explicit MergeTable(const std::vector<Merge>& merges);

  /// The rank is kNoMerge where the pair does not merge.
  Outcome find(std::int32_t left, std::int32_t right) const {
    if (are_small(left, right)) return of_small_[place_of_small(left, right)];
    const std::uint64_t pair = key(left, right);
    const std::uint64_t hash = hash_of(pair);
    const std::uint64_t bit = hash >> (shift_ - kBitsShift);
    if ((maybe_[bit / 64] >> (bit % 64) & 1) == 0) return {};
    std::size_t slot = hash >> shift_;
    while (entries_[slot].pair != pair && entries_[slot].pair != kFree) slot = (slot + 1) & (entries_.size() - 1);
    return entries_[slot].outcome;
  }

 private:
  struct Entry {
    std::uint64_t pair = kFree;
    Outcome outcome;
  };

  static constexpr std::uint32_t kSmall = 256;
  static constexpr bool are_small(std::int32_t left, std::int32_t right) {
    return static_cast<std::uint32_t>(left | right) < kSmall;
  }
  static constexpr std::size_t place_of_small(std::int32_t left, std::int32_t right) {
    return static_cast<std::size_t>(left) * kSmall + static_cast<std::size_t>(right);
  }
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  static std::uint64_t key(std::int32_t left, std::int32_t right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) | static_cast<std::uint32_t>(right);
  }
  static constexpr std::uint64_t hash_of(std::uint64_t pair) { return pair * 0x9E3779B97F4A7C15U; }
  static constexpr int kBitsShift = 3;

  int shift_;
  std::vector<Entry> entries_;
  /// Eight bits an entry: most pairs that do not merge are told by a bit, in a sixteenth of the memory.
  std::vector<std::uint64_t> maybe_;
  std::vector<Outcome> of_small_;
};

/// Memory of a merge, kept between calls.
struct MergeScratch {
  struct Link {
    std::int32_t previous;
    std::int32_t next;
  };
  struct Candidate {
    std::int32_t rank;
    std::int32_t at;
    std::int32_t left;
    std::int32_t right;
  };
  std::vector<std::int32_t> ids;
  std::vector<Link> links;
  std::vector<Candidate> heap;
};

/// Joins neighbours in scratch.ids until none can merge: the pair of the lowest rank first, the leftmost of its places.
/// O(n log n) for a pre-token that may be a megabyte of one letter.
void merge_all(const MergeTable& table, MergeScratch& scratch);

}  // namespace stoa::trainer

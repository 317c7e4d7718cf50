#pragma once
/// The inside of a Tokenizer, for tokenizer*.cc.
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "stoa/trainer/data/tokenizer.h"
#include "stoa/trainer/data/tokenizer_split.h"

namespace stoa::trainer {

inline constexpr std::string_view kEndOfText = "<|endoftext|>";

struct Merge {
  std::int32_t left;
  std::int32_t right;
  std::int32_t result;
};

/// Pair of ids -> rank and result of its merge: open addressing, at most half full.
class MergeTable {
 public:
  static constexpr std::int32_t kNoMerge = 0x7FFFFFFF;

  struct Entry {
    std::uint64_t pair = kFree;
    std::int32_t rank = kNoMerge;
    std::int32_t result = -1;
  };

  /// The rank of a merge is its place.
  explicit MergeTable(const std::vector<Merge>& merges);

  /// An entry with rank kNoMerge where the pair does not merge.
  const Entry& find(std::int32_t left, std::int32_t right) const {
    const std::uint64_t pair = key(left, right);
    std::size_t slot = slot_of(pair);
    while (entries_[slot].pair != pair && entries_[slot].pair != kFree) slot = (slot + 1) & (entries_.size() - 1);
    return entries_[slot];
  }

 private:
  static constexpr std::uint64_t kFree = ~std::uint64_t{0};
  static std::uint64_t key(std::int32_t left, std::int32_t right) {
    return (static_cast<std::uint64_t>(static_cast<std::uint32_t>(left)) << 32) | static_cast<std::uint32_t>(right);
  }
  std::size_t slot_of(std::uint64_t pair) const {
    return static_cast<std::size_t>((pair * 0x9E3779B97F4A7C15U) >> shift_);
  }

  int shift_;
  std::vector<Entry> entries_;
};

/// What a tokenizer.json says.
struct Vocabulary {
  PreTokenizer pre_tokenizer = PreTokenizer::kGpt2;
  std::vector<std::string> tokens;    ///< bytes by id; the text itself for a special token
  std::vector<Merge> merges;          ///< by rank
  std::vector<std::int32_t> special;  ///< ids that merges never make, ascending
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
  std::vector<std::int32_t> ranks;
  std::vector<Link> links;
  std::vector<Candidate> heap;
};

struct Tokenizer::State {
  explicit State(Vocabulary vocabulary_in);

  /// Appends the tokens of one pre-token.
  void merge(std::string_view pre_token, MergeScratch& scratch, std::vector<std::int32_t>& tokens_appended) const;

  Vocabulary vocabulary;
  MergeTable table;
  std::int32_t end_of_text = -1;
  std::int32_t id_of_byte[256];
};

}  // namespace stoa::trainer

#pragma once
/// The words that merges are learnt from, as one array of ids ("cells").
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "stoa/trainer/data/tokenizer_training.h"
#include "stoa/trainer/data/tokenizer_training_runs.h"

namespace stoa::trainer {

/// kEnd, the bytes of word 0 as ids, kEnd, those of word 1, ..., kEnd. Words of one byte have no pairs and no cells.
struct WordCells {
  static constexpr std::int32_t kEnd = -1;

  std::vector<std::int32_t> cells;
  std::vector<std::uint32_t> begins;  ///< of each word in `cells`
  std::vector<std::int64_t> counts;   ///< of each word in the text
};

/// What learning merges takes: for a cell itself, its places in lists of pairs (at most one, and one more for a pair
/// made lately) and its share of the table of pairs; for a word its begin and count.
constexpr std::int64_t kBytesPerCell = 4 + 4 + 4 + 2;
constexpr std::int64_t kBytesPerWord = 4 + 8;

/// `words` opens the same stream anew at each call. Where not all words fit into memory_bytes, the most frequent ones
/// are kept, among words of the same count those that come first in the stream: a rule in which neither threads nor
/// runs play a part. Fills in the words of `report`.
WordCells keep_words(const std::function<std::unique_ptr<WordStream>()>& words, std::int64_t memory_bytes,
                     const std::array<std::int32_t, 256>& id_of_byte, TokenizerTrainingReport& report);

}  // namespace stoa::trainer

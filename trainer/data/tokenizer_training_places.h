#pragma once
/// Where pairs of tokens stand among the cells: lists for the pairs that may be merged next.
#include <cstdint>
#include <span>
#include <vector>

#include "stoa/trainer/data/tokenizer_training_cells.h"
#include "stoa/trainer/data/tokenizer_training_pairs.h"

namespace stoa::trainer {

/// Calls work(0) .. work(threads - 1), each on a thread of its own as far as the system gives them, and waits.
/// REQUIRES: work does not throw, and no call waits for another.
void on_threads(int threads, const std::function<void(int)>& work);

/// The words [begin, end) of thread `thread` of `threads`, with about the same number of cells for each.
struct WordRange {
  std::size_t begin;
  std::size_t end;
};
WordRange words_of(const WordCells& words, int thread, int threads);

/// Length in bytes of each token, by id.
using TokenLengths = std::vector<std::uint32_t>;

/// visit(cell, left, right) for each pair of neighbouring tokens of the range, ascending.
template <typename Visit>
void each_pair(const WordCells& words, WordRange range, const TokenLengths& lengths, Visit visit) {
  for (std::size_t w = range.begin; w < range.end; ++w)
    for (std::uint32_t at = words.begins[w];;) {
      const std::int32_t left = words.cells[at];
      const std::uint32_t next = at + lengths[static_cast<std::size_t>(left)];
      if (words.cells[next] == WordCells::kEnd) break;
      visit(at, left, words.cells[next]);
      at = next;
    }
}

/// Lists of the first cells of pairs. A list has every cell where its pair stands, and some where it stood. A pair gets
/// its list from list() or from append().
class PairPlaces {
 public:
  /// Forgets all lists and makes those of `pairs`. The same for any number of threads.
  void list(const WordCells& words, const TokenLengths& lengths, std::span<const TokenPair> pairs, int threads);
  /// To the pair's list, which is made where there is none.
  void append(TokenPair pair, std::uint32_t cell);
  /// Ascending. For good: the pair's list is gone.
  std::vector<std::uint32_t> take(TokenPair pair);

 private:
  PairTable<std::uint32_t> number_of_;  ///< of the pair's list, from 1; 0: there is none
  std::vector<std::uint32_t> listed_;   ///< the lists of list(), one after the other
  std::vector<std::size_t> begins_;     ///< of each in listed_; its end is the next one's begin
  std::vector<std::vector<std::uint32_t>> appended_;
};

}  // namespace stoa::trainer

#pragma once
/// Byte-pair encoding's merges (Sennrich et al. 2016, algorithm 1) on words with counts.
///
/// A token that covers bytes b .. e of a word stands in cells b and e, so that both neighbours are found without
/// looking through the word, however long it is; cells between hold kGone. Counts of pairs are kept exact by each
/// merge. Where a pair occurs is listed only for pairs of at least a threshold; when no pair reaches it any more, it
/// falls and the lists are made anew. So most pairs, which are rare and never merged, never get a list.
///
/// A merge always makes new bytes: no merge has crossed the ends of a token's span, so what happened inside it is what
/// happens to those bytes alone, and two spans of the same bytes were always split in the same way. Hence a pair occurs
/// first in the merge that makes the younger of its tokens, and its count only falls from then on.
#include <functional>

#include "stoa/trainer/data/tokenizer_training_cells.h"
#include "stoa/trainer/data/tokenizer_vocabulary.h"

namespace stoa::trainer {

/// A vocabulary of the 256 bytes, in the order of their alphabet.
Vocabulary vocabulary_of_bytes();

/// Appends merges until `vocabulary` has `tokens` tokens. The same for any number of threads. progress(fraction) may
/// be empty. False where no pairs are left before that.
bool learn_merges(WordCells words, std::size_t tokens, int threads, const std::function<void(double)>& progress,
                  Vocabulary& vocabulary);

}  // namespace stoa::trainer

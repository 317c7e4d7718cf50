#pragma once
/// The inside of a Tokenizer, for tokenizer*.cc.
#include <cstdint>
#include <string_view>
#include <vector>

#include "stoa/trainer/data/tokenizer.h"
#include "stoa/trainer/data/tokenizer_added.h"
#include "stoa/trainer/data/tokenizer_merges.h"
#include "stoa/trainer/data/tokenizer_vocabulary.h"
#include "stoa/trainer/data/tokenizer_whole.h"

namespace stoa::trainer {

struct Tokenizer::State {
  explicit State(Vocabulary vocabulary_in);

  /// Makes scratch.ids the tokens of one pre-token.
  void merge(std::string_view pre_token, MergeScratch& scratch) const;

  const Vocabulary vocabulary;
  const MergeTable table;
  const AddedTokenSearch added;
  std::int32_t begin_of_text = -1;
  std::int32_t end_of_text = -1;
  std::int32_t id_of_byte[256];
  WholeTokens whole;  ///< Empty unless merges are ignored.
};

}  // namespace stoa::trainer

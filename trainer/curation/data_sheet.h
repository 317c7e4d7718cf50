#pragma once
/// The data sheet of a curated data set: the 57 questions of "Datasheets for Datasets" (Gebru et al., arXiv 1803.09010)
/// in our own short words, as Markdown. What the record of the curation proves is answered from it; everything else
/// says HUMAN REQUIRED and what to write. Nothing is claimed that is not in the record or in the facts given here, and
/// no text of a document is quoted.
#include <cstdint>
#include <optional>
#include <string>

#include "stoa/trainer/curation/curation_record.h"

namespace stoa::trainer {

/// What is known of the tokens made of the data set, where they have been.
struct TokenizedFacts {
  std::string prefix;  ///< of the .bin and .idx files
  std::int64_t documents = 0;
  std::int64_t tokens = 0;
  std::string tokenizer;  ///< its fingerprint
  std::string split;      ///< the rule that divides training from validation; empty where there is none
};

/// What the recipe states (DataSetFacts of curation_settings.h) is quoted as said by the recipe. The same record gives
/// the same bytes.
std::string data_sheet_markdown(const CurationRecord& record, const std::optional<TokenizedFacts>& tokenized = {});

}  // namespace stoa::trainer

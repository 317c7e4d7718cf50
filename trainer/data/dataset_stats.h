#pragma once
/// What is in a data set: lengths, tokens, documents that are there twice. For `stoa data stats`.
#include <cstdint>
#include <optional>
#include <vector>

#include "stoa/trainer/data/indexed_dataset.h"

namespace stoa::trainer {

struct LengthQuantile {
  double fraction = 0;      ///< of the documents
  std::int64_t tokens = 0;  ///< that many of them have no more
};
/// Documents of least .. most tokens.
struct LengthBin {
  std::int64_t least = 0;
  std::int64_t most = 0;
  std::int64_t documents = 0;
};
struct TokenCount {
  std::int64_t token = 0;
  std::int64_t count = 0;
};

struct DatasetStats {
  std::int64_t documents = 0;
  std::int64_t tokens = 0;
  std::vector<LengthQuantile> quantiles;  ///< 0, 1, 10, 25, 50, 75, 90, 99 and 100 %; empty without documents
  std::vector<LengthBin> lengths;         ///< powers of two, from the first to the last that has a document
  std::vector<TokenCount> most_frequent;  ///< ties by the smaller id
  std::int64_t distinct_tokens = 0;       ///< among ids below 2^22; a larger or negative one counts as `other_tokens`
  std::int64_t other_tokens = 0;
  std::int64_t end_of_text_tokens = 0;        ///< where its id was given
  std::int64_t documents_ending_with_it = 0;  ///< likewise
  std::int64_t duplicate_documents = 0;       ///< with the same tokens as one before, by 64-bit hash
  std::int64_t duplicate_tokens = 0;          ///< in those
};

/// Memory: 24 bytes a document, 33 MiB a thread and 96 MiB for the sums, whatever the tokens are. REQUIRES: threads
/// >= 1.
DatasetStats dataset_stats(const IndexedDataset& dataset, std::optional<std::int32_t> end_of_text,
                           std::size_t most_frequent, int threads);

}  // namespace stoa::trainer

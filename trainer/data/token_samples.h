#pragma once
/// Training samples: documents packed end to end and cut into context_length + 1 tokens (inputs and targets shifted by
/// one; consecutive samples share one token). Sample number -> tokens, with no state: any rank asks for any sample.
#include <cstdint>
#include <span>
#include <vector>

#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/sample_stream.h"
#include "stoa/trainer/kernels/philox.h"
#include "stoa/trainer/settings.h"

namespace stoa::trainer {

/// A keyed permutation of 0..n-1 in O(1) memory: a Feistel network over the next power of two at or above n, walked
/// until the result is inside (Black and Rogaway 2002). Any n from 1 to 2^62.
class Permutation {
 public:
  Permutation(std::uint64_t n, std::uint64_t seed, std::uint64_t number,
              RandomPurpose purpose = RandomPurpose::kSampleOrder);
  std::uint64_t operator()(std::uint64_t index) const;

 private:
  std::uint64_t n_;
  int bits_;
  std::uint64_t key_ = 0;
};

enum class DataSplit { kTrain, kHeldOut };

class TokenSamples final : public SampleStream {
 public:
  /// Borrows the data set. A document is held out where its Philox number (seed, document) is below held_out_fraction.
  /// Where the split has fewer than context_length + 1 tokens: DataError with the counts. Data sets of one mixture have
  /// orders of their own, by `source`. Memory: a bit for each document.
  TokenSamples(const IndexedDataset& dataset, const DataSettings& settings, std::int64_t context_length,
               DataSplit split, std::uint32_t source = 0);

  std::int64_t samples_per_epoch() const { return samples_; }
  std::int64_t samples() const override { return samples_; }
  std::int64_t tokens() const { return group_begins_.back(); }
  DocumentRules document_rules() const override { return rules_; }

  /// Sample number `index` of the endless stream: epoch index / samples_per_epoch() has a permutation of its own
  /// (kHeldOut: always the same order). inputs and targets have context_length elements; their bytes on disk are read
  /// here.
  void read(std::int64_t index, const SampleSpans& sample) const override;
  void read(std::int64_t index, std::span<std::int32_t> inputs, std::span<std::int32_t> targets) const {
    read(index, SampleSpans{inputs, targets, {}});
  }

 private:
  /// Documents whose tokens in the split are summed up together.
  static constexpr std::int64_t kGroup = 64;

  /// Its tokens in this split.
  std::int64_t split_size(std::int64_t document) const;
  /// Tokens [begin, begin + out.size()) of the split's own stream; document_begins as in SampleSpans, or empty.
  void read_stream(std::int64_t begin, std::span<std::int32_t> out, std::span<std::int32_t> document_begins) const;

  const IndexedDataset& dataset_;
  std::int64_t context_length_;
  DataSplit split_;
  std::uint64_t seed_;
  std::uint64_t order_;
  double held_out_fraction_;
  PhiloxKey held_out_key_;
  DocumentRules rules_;
  std::int64_t samples_ = 0;
  std::vector<std::int64_t> group_begins_;  ///< in the split's own stream: before each group of documents, and the end
};

}  // namespace stoa::trainer

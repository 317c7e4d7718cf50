#pragma once
/// Samples for verification: drawn, not read. Every token id occurs, so that every row of an embedding and of a head
/// has a gradient.
#include <cstdint>

#include "stoa/trainer/data/sample_stream.h"

namespace stoa::trainer {

struct SyntheticSettings {
  std::int64_t vocabulary_size = 0;
  std::int64_t context_length = 0;
  std::uint64_t seed = 1;
  DocumentRules rules;
};

/// One endless text in which each run of vocabulary_size tokens is a keyed permutation of all ids: any 2 V - 1 tokens
/// that follow each other hold each id. Every third sample is one document, so that all position ids occur; in the
/// others a document begins at one token of four.
class SyntheticSamples final : public SampleStream {
 public:
  explicit SyntheticSamples(const SyntheticSettings& settings) : settings_(settings) {}

  std::int64_t samples() const override;
  void read(std::int64_t index, const SampleSpans& sample) const override;
  DocumentRules document_rules() const override { return settings_.rules; }

 private:
  std::int32_t token(std::int64_t place) const;
  bool begins_document(std::int64_t index, std::int64_t in_sample) const;

  SyntheticSettings settings_;
};

}  // namespace stoa::trainer

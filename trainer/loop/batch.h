#pragma once
/// Token memory of one micro-batch, filled again and again.
#include <cstdint>
#include <vector>

#include "stoa/trainer/data/sample_stream.h"
#include "stoa/trainer/model/model.h"

namespace stoa::trainer {

class Batch {
 public:
  Batch(std::int64_t samples, std::int64_t context_length)
      : context_(std::size_t(context_length)),
        tokens_(std::size_t(samples) * context_),
        targets_(std::size_t(samples) * context_) {}

  /// Samples first .. first + count - 1 of the stream, with document beginnings and positions where its rules want
  /// them. Valid until the next read. REQUIRES: count <= samples.
  MicroBatch read(const SampleStream& source, std::int64_t first, std::int64_t count) {
    const DocumentRules rules = source.document_rules();
    if (rules.mask || rules.reset_positions) document_begins_.resize(tokens_.size());
    for (std::int64_t i = 0; i < count; ++i)
      source.read(first + i, {part(tokens_, i), part(targets_, i), part(document_begins_, i)});
    const std::size_t size = std::size_t(count) * context_;
    MicroBatch batch;
    batch.tokens_bt = std::span(tokens_).first(size);
    batch.targets_bt = std::span(targets_).first(size);
    batch.samples = count;
    if (rules.mask) batch.document_begin_bt = std::span(document_begins_).first(size);
    if (rules.reset_positions) batch.positions_bt = positions(size);
    return batch;
  }

 private:
  std::span<std::int32_t> part(std::vector<std::int32_t>& all, std::int64_t sample) const {
    return all.empty() ? std::span<std::int32_t>() : std::span(all).subspan(std::size_t(sample) * context_, context_);
  }

  std::span<const std::int32_t> positions(std::size_t size) {
    positions_.resize(tokens_.size());
    for (std::size_t i = 0; i < size; ++i) positions_[i] = std::int32_t(i % context_) - document_begins_[i];
    return std::span(positions_).first(size);
  }

  std::size_t context_;
  std::vector<std::int32_t> tokens_, targets_, document_begins_, positions_;
};

}  // namespace stoa::trainer

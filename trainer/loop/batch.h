#pragma once
/// Token memory of one micro-batch, filled again and again.
#include <cstdint>
#include <vector>

#include "stoa/trainer/data/token_samples.h"
#include "stoa/trainer/model/model.h"

namespace stoa::trainer {

class Batch {
 public:
  Batch(std::int64_t samples, std::int64_t context_length)
      : context_(std::size_t(context_length)),
        tokens_(std::size_t(samples) * context_),
        targets_(std::size_t(samples) * context_) {}

  /// Samples first .. first + count - 1 of the stream. Valid until the next read. REQUIRES: count <= samples.
  MicroBatch read(const TokenSamples& source, std::int64_t first, std::int64_t count) {
    for (std::int64_t i = 0; i < count; ++i)
      source.read(first + i, std::span(tokens_).subspan(std::size_t(i) * context_, context_),
                  std::span(targets_).subspan(std::size_t(i) * context_, context_));
    const std::size_t size = std::size_t(count) * context_;
    return {
        .tokens_bt = std::span(tokens_).first(size), .targets_bt = std::span(targets_).first(size), .samples = count};
  }

 private:
  std::size_t context_;
  std::vector<std::int32_t> tokens_, targets_;
};

}  // namespace stoa::trainer

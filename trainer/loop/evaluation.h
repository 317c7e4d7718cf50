#pragma once
/// Loss on held-out samples during training.
#include <cstdint>
#include <span>

#include "stoa/trainer/loop/training_step.h"

namespace stoa::trainer {

struct EvaluationResult {
  double loss = 0;  ///< nats per token
  std::int64_t tokens = 0;
  std::int64_t bytes = 0;  ///< of text that the predicted tokens stand for
  double perplexity() const;
  double bits_per_byte() const;
};

/// Collective: data ranks share the micro-batches; each one's sum stands in a place of its own and all are added along
/// one tree, so the bits do not depend on the number of data ranks or stages. token_bytes[id]: bytes of text of a
/// token.
EvaluationResult evaluate(TrainingStep& step, const SampleStream& held_out, std::int64_t most_samples,
                          std::span<const std::int32_t> token_bytes);

}  // namespace stoa::trainer

#pragma once
/// Loss on held-out samples during training.
#include <cstdint>
#include <span>

#include "stoa/parallel/communicator.h"
#include "stoa/trainer/data/sample_stream.h"
#include "stoa/trainer/model/model.h"

namespace stoa::trainer {

struct EvaluationResult {
  double loss = 0;  ///< nats per token
  std::int64_t tokens = 0;
  std::int64_t bytes = 0;  ///< of text that the predicted tokens stand for
  double perplexity() const;
  double bits_per_byte() const;
};

struct EvaluationPlan {
  std::int64_t samples = 0;  ///< the first ones of the held-out order; fewer where the split has fewer
  std::int64_t micro_batch = 1;
  std::int64_t context_length = 0;
};

/// Collective: ranks share the micro-batches; each one's sum stands in a place of its own and all are added along one
/// tree, so the bits do not depend on the number of ranks. token_bytes[id]: bytes of text of a token.
EvaluationResult evaluate(Model& model, const SampleStream& held_out, const EvaluationPlan& plan,
                          std::span<const std::int32_t> token_bytes, parallel::Communicator& ranks);

}  // namespace stoa::trainer

#pragma once
/// Drawing the next token from logits. Pure: the same logits, settings and position give the same token on any machine
/// whose logits are the same.
#include <cstdint>
#include <span>

namespace stoa::trainer {

struct SamplingSettings {
  double temperature = 1;  ///< logits are divided by it; 0: always the most likely token
  std::int64_t top_k = 0;  ///< only the k most likely tokens; 0: no limit
  double top_p = 1;        ///< of those, the fewest whose probabilities reach p (arXiv 1904.09751); 1: no limit
  std::uint64_t seed = 1;
};

/// UsageError that names the setting: temperature below 0 or not finite, top_k below 0, top_p outside (0, 1].
void check_sampling(const SamplingSettings& settings);

/// Equal logits rank by the smaller id. The random number is Philox's of (seed, position).
/// REQUIRES: checked settings, logits not empty. NumericError where a logit is NaN or infinite.
std::int32_t sample_token(std::span<const float> logits_v, const SamplingSettings& settings, std::int64_t position);

}  // namespace stoa::trainer

#include "stoa/trainer/model/sampling.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/trainer/kernels/philox.h"

namespace stoa::trainer {
namespace {

void check_finite(std::span<const float> logits) {
  for (std::size_t token = 0; token < logits.size(); ++token)
    if (!std::isfinite(logits[token]))
      throw NumericError("the model's logit of token {} is {}: its parameters are not usable", token, logits[token]);
}

/// The tokens that top-k leaves, most likely first; all of them, in no order, where nothing asks for an order.
std::vector<std::int32_t> candidates(std::span<const float> logits, const SamplingSettings& settings) {
  std::vector<std::int32_t> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  const bool limited = settings.top_k > 0 && settings.top_k < std::ssize(tokens);
  if (!limited && settings.top_p >= 1) return tokens;
  const auto kept = tokens.begin() + (limited ? settings.top_k : std::ssize(tokens));
  std::partial_sort(tokens.begin(), kept, tokens.end(), [&](std::int32_t a, std::int32_t b) {
    const float x = logits[std::size_t(a)], y = logits[std::size_t(b)];
    return x != y ? x > y : a < b;
  });
  tokens.erase(kept, tokens.end());
  return tokens;
}

/// How many of the weights, largest first, reach the fraction p of their sum.
std::size_t nucleus(std::span<const double> weights, double p) {
  const double wanted = p * std::accumulate(weights.begin(), weights.end(), 0.0);
  double sum = 0;
  std::size_t count = 0;
  while (count < weights.size() && (count == 0 || sum < wanted)) sum += weights[count++];
  return count;
}

}  // namespace

void check_sampling(const SamplingSettings& settings) {
  if (!(settings.temperature >= 0) || !std::isfinite(settings.temperature))
    throw UsageError("temperature {} is not a number from 0 up", settings.temperature);
  if (settings.top_k < 0) throw UsageError("top-k {} is below 0", settings.top_k);
  if (!(settings.top_p > 0 && settings.top_p <= 1))
    throw UsageError("top-p {} is not above 0 and at most 1", settings.top_p);
}

std::int32_t sample_token(std::span<const float> logits_v, const SamplingSettings& settings, std::int64_t position) {
  check_finite(logits_v);
  const auto top = std::max_element(logits_v.begin(), logits_v.end());
  if (settings.temperature == 0) return static_cast<std::int32_t>(top - logits_v.begin());
  std::vector<std::int32_t> tokens = candidates(logits_v, settings);
  std::vector<double> weights;
  weights.reserve(tokens.size());
  for (const std::int32_t token : tokens)
    weights.push_back(std::exp((double(logits_v[std::size_t(token)]) - double(*top)) / settings.temperature));
  if (settings.top_p < 1) weights.resize(nucleus(weights, settings.top_p));
  const PhiloxBlock bits =
      philox_block(philox_key(settings.seed, RandomPurpose::kGeneration), static_cast<std::uint64_t>(position));
  double left = uniform_double(bits[0], bits[1]) * std::accumulate(weights.begin(), weights.end(), 0.0);
  for (std::size_t i = 0; i < weights.size(); ++i) {
    left -= weights[i];
    if (left < 0) return tokens[i];
  }
  // Rounding may leave a crumb: it belongs to the last token with any weight.
  std::size_t last = weights.size() - 1;
  while (last > 0 && weights[last] == 0) --last;
  return tokens[last];
}

}  // namespace stoa::trainer

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

/// Most likely first; equals by the smaller id.
struct RanksBefore {
  std::span<const float> logits;
  bool operator()(std::int32_t a, std::int32_t b) const {
    const float x = logits[std::size_t(a)], y = logits[std::size_t(b)];
    return x != y ? x > y : a < b;
  }
};

/// The fewest first-ranked of the tokens whose weights reach the fraction p of all of theirs, found by halving: a flat
/// distribution would make sorting the vocabulary cost more than a small model's pass.
std::span<std::int32_t> nucleus(std::span<std::int32_t> tokens, std::span<const double> weights, double p,
                                const RanksBefore& ranks_before) {
  const auto mass = [&](std::size_t begin, std::size_t end) {
    double sum = 0;
    for (std::size_t i = begin; i < end; ++i) sum += weights[std::size_t(tokens[i])];
    return sum;
  };
  const double wanted = p * mass(0, tokens.size());
  double before = 0;  // mass of the tokens ahead of `begin`; the answer lies in (begin, end]
  std::size_t begin = 0, end = tokens.size();
  while (end - begin > 1) {
    const std::size_t middle = begin + (end - begin) / 2;
    const auto at = [&](std::size_t i) { return tokens.begin() + static_cast<std::ptrdiff_t>(i); };
    std::nth_element(at(begin), at(middle), at(end), ranks_before);
    const double half = mass(begin, middle);
    if (before + half >= wanted) {
      end = middle;
    } else {
      before += half;
      begin = middle;
    }
  }
  return tokens.first(end);
}

/// Takes the weight from every token that top-k and top-p leave out.
void keep_likely(std::span<const float> logits, const SamplingSettings& settings, std::span<double> weights) {
  const bool limited = settings.top_k > 0 && settings.top_k < std::ssize(logits);
  if (!limited && settings.top_p >= 1) return;
  const RanksBefore ranks_before{logits};
  std::vector<std::int32_t> tokens(logits.size());
  std::iota(tokens.begin(), tokens.end(), 0);
  std::span<std::int32_t> kept = tokens;
  if (limited) {
    std::nth_element(tokens.begin(), tokens.begin() + settings.top_k, tokens.end(), ranks_before);
    kept = kept.first(std::size_t(settings.top_k));
  }
  if (settings.top_p < 1) kept = nucleus(kept, weights, settings.top_p, ranks_before);
  for (const std::int32_t token : std::span(tokens).subspan(kept.size())) weights[std::size_t(token)] = 0;
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
  std::vector<double> weights(logits_v.size());
  for (std::size_t token = 0; token < weights.size(); ++token)
    weights[token] = std::exp((double(logits_v[token]) - double(*top)) / settings.temperature);
  keep_likely(logits_v, settings, weights);
  const PhiloxBlock bits =
      philox_block(philox_key(settings.seed, RandomPurpose::kGeneration), static_cast<std::uint64_t>(position));
  double left = uniform_double(bits[0], bits[1]) * std::accumulate(weights.begin(), weights.end(), 0.0);
  std::size_t last = 0;  // rounding may leave a crumb: it belongs to the last token with any weight
  for (std::size_t token = 0; token < weights.size(); ++token) {
    if (weights[token] == 0) continue;
    last = token;
    left -= weights[token];
    if (left < 0) break;
  }
  return static_cast<std::int32_t>(last);
}

}  // namespace stoa::trainer

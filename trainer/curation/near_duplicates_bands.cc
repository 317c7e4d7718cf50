#include "stoa/trainer/curation/near_duplicates_bands.h"

#include <cmath>
#include <vector>

#include "stoa/trainer/curation/near_duplicates.h"

namespace stoa::trainer {
namespace {

constexpr double kLeastCandidate = 0.9;

// A distribution of a count, or a part of one: element i is the probability of i.
using Counts = std::vector<double>;

Counts binomial(int trials, double p) {
  Counts counts(static_cast<std::size_t>(trials) + 1);
  for (int i = 0; i <= trials; ++i)
    counts[static_cast<std::size_t>(i)] =
        std::exp(std::lgamma(trials + 1.0) - std::lgamma(i + 1.0) - std::lgamma(trials - i + 1.0)) * std::pow(p, i) *
        std::pow(1 - p, trials - i);
  return counts;
}

Counts sum_of(const Counts& a, const Counts& b) {
  Counts sum(a.size() + b.size() - 1);
  for (std::size_t i = 0; i < a.size(); ++i)
    for (std::size_t j = 0; j < b.size(); ++j) sum[i + j] += a[i] * b[j];
  return sum;
}

}  // namespace

NearDuplicateBands near_duplicate_bands(int permutations, double threshold) {
  NearDuplicateBands best = {permutations, 1};
  for (int rows = 2; rows <= permutations; ++rows) {
    const NearDuplicateBands bands = {permutations / rows, rows};
    if (candidate_probability(bands, threshold) >= kLeastCandidate) best = bands;
  }
  return best;
}

double candidate_probability(NearDuplicateBands bands, double similarity) {
  return 1 - std::pow(1 - std::pow(similarity, bands.rows), bands.bands);
}

double near_duplicate_probability(const NearDuplicateSettings& settings, double similarity) {
  const auto [bands, rows] = near_duplicate_bands(settings.permutations, settings.threshold);
  const double equal = similarity + (1 - similarity) / 256;  // bytes of minima, also of unequal ones
  const Counts in_band = binomial(rows, equal);
  Counts in_broken_band = in_band;  // a band whose whole minima are not all equal
  in_broken_band.back() = std::max(0.0, in_broken_band.back() - std::pow(similarity, rows));

  Counts all = binomial(settings.permutations - bands * rows, equal), none_whole = all;
  for (int band = 0; band < bands; ++band) {
    all = sum_of(all, in_band);
    none_whole = sum_of(none_whole, in_broken_band);
  }
  double found = 0;
  for (std::size_t count = static_cast<std::size_t>(least_equal_minima(settings.permutations, settings.threshold));
       count < all.size(); ++count)
    found += all[count] - none_whole[count];
  return found;
}

int least_equal_minima(int permutations, double threshold) {
  const double wanted = permutations * (threshold + (1 - threshold) / 256);
  return static_cast<int>(std::ceil(wanted - 1e-9));
}

}  // namespace stoa::trainer

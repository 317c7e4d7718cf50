#include "stoa/trainer/model/sampling.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <vector>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

const std::vector<float> kLogits = {0.5F, 2.0F, -1.0F, 1.5F, 0.0F, -3.0F, 1.0F};
constexpr int kDraws = 60001;

std::vector<double> frequencies(const SamplingSettings& settings) {
  std::vector<double> counts(kLogits.size(), 0);
  for (int position = 0; position < kDraws; ++position)
    counts[std::size_t(sample_token(kLogits, settings, position))] += 1;
  for (double& count : counts) count /= kDraws;
  return counts;
}

/// Probabilities of the tokens at `kept` alone.
std::vector<double> softmax(double temperature, const std::vector<std::size_t>& kept) {
  std::vector<double> probabilities(kLogits.size(), 0);
  double sum = 0;
  for (const std::size_t token : kept) sum += probabilities[token] = std::exp(double(kLogits[token]) / temperature);
  for (double& probability : probabilities) probability /= sum;
  return probabilities;
}

/// Five standard deviations of a frequency over kDraws draws; exactly 0 where nothing may be drawn.
void expect_frequencies(const std::vector<double>& got, const std::vector<double>& wanted) {
  for (std::size_t token = 0; token < got.size(); ++token)
    EXPECT_NEAR(got[token], wanted[token], 5 * std::sqrt(wanted[token] * (1 - wanted[token]) / kDraws)) << token;
}

TEST(Sampling, FollowsTheProbabilitiesAtAnyTemperature) {
  for (const double temperature : {0.7, 1.0, 2.5})
    expect_frequencies(frequencies({.temperature = temperature, .seed = 3}),
                       softmax(temperature, {0, 1, 2, 3, 4, 5, 6}));
}

TEST(Sampling, TopKDrawsAmongTheMostLikelyAlone) {
  expect_frequencies(frequencies({.top_k = 3}), softmax(1, {1, 3, 6}));
}

TEST(Sampling, TopPDrawsAmongTheFewestThatReachIt) {
  // 0.417 + 0.253 + 0.153 = 0.823: two tokens reach 0.66, three reach 0.7.
  expect_frequencies(frequencies({.top_p = 0.66}), softmax(1, {1, 3}));
  expect_frequencies(frequencies({.top_p = 0.7}), softmax(1, {1, 3, 6}));
}

TEST(Sampling, TopPCountsWithinTopK) {
  // Of the two that top-k leaves the first alone has 0.622.
  expect_frequencies(frequencies({.top_k = 2, .top_p = 0.6}), softmax(1, {1}));
  expect_frequencies(frequencies({.top_k = 2, .top_p = 0.63}), softmax(1, {1, 3}));
}

TEST(Sampling, DrawsExactlyTheTokensThatASortOfTheVocabularyWouldKeep) {
  std::vector<float> logits(257);
  for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>((i * i * 37 + i * 11) % 101) / 40;
  for (const SamplingSettings& settings :
       {SamplingSettings{.top_p = 0.37}, SamplingSettings{.top_p = 0.9}, SamplingSettings{.top_k = 33},
        SamplingSettings{.top_k = 65, .top_p = 0.5}}) {
    std::vector<std::int32_t> ranked(logits.size());
    std::iota(ranked.begin(), ranked.end(), 0);
    std::stable_sort(ranked.begin(), ranked.end(),
                     [&](std::int32_t a, std::int32_t b) { return logits[std::size_t(a)] > logits[std::size_t(b)]; });
    if (settings.top_k > 0) ranked.resize(std::size_t(settings.top_k));
    double all = 0, mass = 0;
    for (const std::int32_t token : ranked) all += std::exp(double(logits[std::size_t(token)]));
    std::set<std::int32_t> kept, drawn;
    for (const std::int32_t token : ranked) {
      if (mass >= settings.top_p * all) break;
      kept.insert(token);
      mass += std::exp(double(logits[std::size_t(token)]));
    }
    for (int position = 0; position < 20001; ++position) drawn.insert(sample_token(logits, settings, position));
    EXPECT_EQ(drawn, kept) << "top-k " << settings.top_k << ", top-p " << settings.top_p;
  }
}

TEST(Sampling, TemperatureZeroTopKOneAndATinyTopPTakeTheMostLikely) {
  for (int position = 0; position < 257; ++position) {
    EXPECT_EQ(sample_token(kLogits, {.temperature = 0}, position), 1);
    EXPECT_EQ(sample_token(kLogits, {.top_k = 1}, position), 1);
    EXPECT_EQ(sample_token(kLogits, {.top_p = 1e-9}, position), 1);
    EXPECT_EQ(sample_token(kLogits, {.temperature = 1e-6}, position), 1);
  }
}

TEST(Sampling, EqualLogitsRankByTheSmallerToken) {
  const std::vector<float> equal(33, 0.25F);
  EXPECT_EQ(sample_token(equal, {.temperature = 0}, 5), 0);
  EXPECT_EQ(sample_token(equal, {.top_k = 1}, 5), 0);
}

TEST(Sampling, LimitsBeyondTheVocabularyChangeNothing) {
  for (int position = 0; position < 257; ++position)
    EXPECT_EQ(sample_token(kLogits, {.top_k = 700}, position), sample_token(kLogits, {}, position));
}

TEST(Sampling, TheSeedAndThePositionDecide) {
  const auto drawn = [](std::uint64_t seed) {
    std::vector<std::int32_t> tokens;
    for (int position = 0; position < 65; ++position) tokens.push_back(sample_token(kLogits, {.seed = seed}, position));
    return tokens;
  };
  EXPECT_EQ(drawn(1), drawn(1));
  EXPECT_NE(drawn(1), drawn(2));
}

TEST(Sampling, LogitsThatAreNoNumbersAreAnError) {
  std::vector<float> logits = kLogits;
  logits[4] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(sample_token(logits, {}, 0), NumericError);
  logits[4] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(sample_token(logits, {.temperature = 0}, 0), NumericError);
}

TEST(Sampling, SettingsOutsideTheirRangesAreRefused) {
  EXPECT_NO_THROW(check_sampling({}));
  for (const SamplingSettings& wrong :
       {SamplingSettings{.temperature = -0.1}, SamplingSettings{.temperature = std::nan("")},
        SamplingSettings{.top_k = -1}, SamplingSettings{.top_p = 0}, SamplingSettings{.top_p = 1.01},
        SamplingSettings{.top_p = std::nan("")}})
    EXPECT_THROW(check_sampling(wrong), UsageError);
}

}  // namespace
}  // namespace stoa::trainer

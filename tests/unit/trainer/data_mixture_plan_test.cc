#include "stoa/trainer/data/mixture_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "stoa/base/error.h"
#include "stoa/trainer/data/token_samples.h"

namespace stoa::trainer {
namespace {

using testing::ElementsAre;
constexpr std::int64_t kEndless = MixturePlan::kEndless;
constexpr std::int64_t kBlock = MixturePlan::kBlock;

TEST(Apportion, GivesTheLargestRemaindersTheLastSeats) {
  // Quotas 2.33, 2.33 and 2.33: the earlier source wins the tie.
  EXPECT_THAT(apportion(7, std::vector<double>{1, 1, 1}), ElementsAre(3, 2, 2));
  // Quotas 5.5, 3.3 and 1.1 (12, 7.2 and 2.4 of 21.6).
  EXPECT_THAT(apportion(10, std::vector<double>{12, 7.2, 2.4}), ElementsAre(6, 3, 1));
  EXPECT_THAT(apportion(65536, std::vector<double>{0.7, 0, 0.3}), ElementsAre(45875, 0, 19661));
}

TEST(Apportion, KeepsTheQuotaRuleForAnyWeights) {
  std::uint64_t state = 5;
  for (int round = 0; round < 257; ++round) {
    std::vector<double> weights;
    for (int s = 0; s < 1 + round % 33; ++s) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      weights.push_back(std::ldexp(static_cast<double>(state >> 40), -static_cast<int>(state >> 59)));
    }
    weights[0] += 1e-3;
    const double sum = std::accumulate(weights.begin(), weights.end(), 0.0);
    const auto seats = apportion(kBlock, weights);
    EXPECT_EQ(std::accumulate(seats.begin(), seats.end(), std::int64_t{0}), kBlock);
    for (std::size_t s = 0; s < seats.size(); ++s)
      EXPECT_LT(std::abs(static_cast<double>(seats[s]) - kBlock * weights[s] / sum), 1 + 1e-9);
  }
}

struct Case {
  const char* name;
  std::vector<PlannedStage> stages;
  std::vector<std::int64_t> available;
  std::int64_t samples;  ///< that are looked at
};

void PrintTo(const Case& value, std::ostream* out) { *out << value.name; }

class MixturePlanCases : public testing::TestWithParam<Case> {
 protected:
  MixturePlan plan() const { return {GetParam().stages, GetParam().available, 20}; }
};

/// The contract written down once more as a simulation that walks through every sample with all its state, block by
/// block, one seat at a time.
std::vector<Drawn> simulated(const Case& c, std::uint64_t seed) {
  std::vector<Drawn> stream;
  std::vector<std::int64_t> drawn(c.available.size());
  for (std::size_t stage = 0; stage < c.stages.size(); ++stage) {
    const std::int64_t end = stage + 1 < c.stages.size() ? c.stages[stage + 1].first_sample : kEndless;
    while (std::ssize(stream) < std::min(end, c.samples)) {
      std::vector<double> weights = c.stages[stage].weights;
      double sum = 0;
      for (std::size_t s = 0; s < weights.size(); ++s) {
        if (drawn[s] == c.available[s]) weights[s] = 0;
        sum += weights[s];
      }
      if (sum == 0) return stream;
      std::set<std::size_t> ending;
      std::int64_t block = std::min(kBlock, end - std::ssize(stream));
      std::vector<std::int64_t> places;
      for (;;) {
        places = apportion(block, weights);
        bool fits = true;
        for (std::size_t s = 0; s < weights.size(); ++s)
          if (drawn[s] + places[s] > c.available[s]) {
            ending.insert(s);
            fits = false;
          }
        if (fits || block <= MixturePlan::kSmallestBlock) break;
        block = std::max(MixturePlan::kSmallestBlock, block / 2);
      }
      std::map<std::size_t, std::int64_t> last;
      for (bool again = true; again;) {
        again = false;
        for (std::size_t s = 0; s < weights.size(); ++s) {
          const std::int64_t left = c.available[s] - drawn[s];
          if (weights[s] > 0 && (places[s] > left || (ending.contains(s) && places[s] == 0))) {
            last[s] = std::min(left, block);
            block -= last[s];
            weights[s] = 0;
            again = true;
          }
        }
        const bool others = std::any_of(weights.begin(), weights.end(), [](double w) { return w > 0; });
        if (again) places = others && block > 0 ? apportion(block, weights) : std::vector<std::int64_t>(weights.size());
      }
      std::vector<Drawn> in_order;
      for (std::size_t s = 0; s < weights.size(); ++s) {
        const std::int64_t count = last.contains(s) ? last[s] : places[s];
        for (std::int64_t i = 0; i < count; ++i) in_order.push_back({s, drawn[s] + i});
      }
      const Permutation order(in_order.size(), seed, static_cast<std::uint64_t>(stream.size()),
                              RandomPurpose::kMixtureOrder);
      const std::size_t begin = stream.size();
      for (std::size_t i = 0; i < in_order.size() && std::ssize(stream) < c.samples; ++i)
        stream.push_back(in_order[order(i)]);
      for (std::size_t i = begin; i < stream.size(); ++i) ++drawn[stream[i].source];
    }
  }
  return stream;
}

TEST_P(MixturePlanCases, IsTheSequentialSimulationReadInAnyOrder) {
  const std::vector<Drawn> expected = simulated(GetParam(), 20);
  const MixturePlan mixture = plan();
  EXPECT_EQ(std::min(mixture.samples(), GetParam().samples), std::ssize(expected));
  for (std::int64_t i = std::ssize(expected) - 1; i >= 0; --i) {
    const Drawn drawn = mixture.at(i);
    ASSERT_EQ(drawn.source, expected[static_cast<std::size_t>(i)].source) << i;
    ASSERT_EQ(drawn.sample, expected[static_cast<std::size_t>(i)].sample) << i;
  }
}

TEST_P(MixturePlanCases, NoSourceSampleIsDrawnTwiceAndNoneBeyondTheLimit) {
  const MixturePlan mixture = plan();
  const std::int64_t end = std::min(mixture.samples(), GetParam().samples);
  std::vector<std::set<std::int64_t>> seen(GetParam().available.size());
  for (std::int64_t i = 0; i < end; ++i) {
    const Drawn drawn = mixture.at(i);
    ASSERT_TRUE(seen[drawn.source].insert(drawn.sample).second) << i;
    ASSERT_LT(drawn.sample, GetParam().available[drawn.source]) << i;
  }
  const auto counted = mixture.drawn_before(end);
  for (std::size_t s = 0; s < seen.size(); ++s) EXPECT_EQ(counted[s], std::ssize(seen[s])) << s;
}

INSTANTIATE_TEST_SUITE_P(
    All, MixturePlanCases,
    testing::Values(
        Case{"endless", {{0, {0.7, 0.3}}}, {kEndless, kEndless}, 3 * kBlock + 17},
        Case{"one_source", {{0, {3}}}, {kEndless}, kBlock + 1}, Case{"one_source_that_ends", {{0, {3}}}, {1001}, 2000},
        Case{"a_small_source_ends_in_the_first_block", {{0, {0.5, 0.5}}}, {1001, kEndless}, 2 * kBlock},
        Case{"all_end", {{0, {0.2, 0.5, 0.3}}}, {100'003, 33, 70'001}, 1'000'000},
        Case{"a_rare_source_has_few", {{0, {0.999, 0.001}}}, {kEndless, 5}, 2 * kBlock},
        Case{"limits_below_a_block_of_64", {{0, {1, 1, 1}}}, {1, 2, 33}, 100},
        Case{"stages", {{0, {1, 1}}, {3, {1, 7}}, {1003, {0, 1}}, {70'001, {5, 1}}}, {kEndless, 50'021}, 3 * kBlock},
        Case{"a_stage_whose_sources_are_used_up", {{0, {1, 1}}, {4000, {1, 0}}}, {3001, kEndless}, 20'000}),
    [](const auto& tested) { return tested.param.name; });

TEST(MixturePlan, EveryBlockHasTheExactProportions) {
  const std::vector<double> weights = {0.515, 0.2, 0.1, 0.1, 0.05, 0.03, 0.004, 0.001};
  const auto places = apportion(kBlock, weights);
  const std::vector<PlannedStage> stages = {{0, weights}};
  const MixturePlan plan(stages, std::vector<std::int64_t>(weights.size(), kEndless), 3);
  // The third block, and one that a run of 10^9 samples has near its end.
  for (const std::int64_t block : {std::int64_t{2}, std::int64_t{15'258}}) {
    std::vector<std::int64_t> counts(weights.size());
    for (std::int64_t i = 0; i < kBlock; ++i) ++counts[plan.at(block * kBlock + i).source];
    EXPECT_EQ(counts, places);
  }
  EXPECT_EQ(plan.segments().size(), 1U);
}

TEST(MixturePlan, ProportionsHoldUntilASourceEnds) {
  // 12,007 samples at 3 in 10 last for 40,023: up to there no window of 64 deviates much, after it the source is gone.
  const std::vector<PlannedStage> stages = {{0, {0.3, 0.7}}};
  const MixturePlan plan(stages, {12'007, kEndless}, 3);
  EXPECT_NEAR(static_cast<double>(plan.drawn_before(20'000)[0]), 6000, 5 * std::sqrt(20'000 * 0.21));
  EXPECT_EQ(plan.drawn_before(40'100)[0], 12'007);
  EXPECT_LT(plan.drawn_before(39'900)[0], 12'007);
  EXPECT_LT(plan.segments().size(), 14U);
}

TEST(MixturePlan, TheEndIsFoundWithoutWalkingThere) {
  const std::vector<PlannedStage> stages = {{0, {1, 1}}};
  const std::int64_t most = std::int64_t{1} << 40;
  const MixturePlan plan(stages, {most + 7, most + 1'000'003}, 3);
  EXPECT_EQ(plan.samples(), 2 * most + 1'000'010);
  EXPECT_LT(plan.segments().size(), 30U);
  EXPECT_THROW(plan.at(plan.samples()), InternalError);
}

/// The order of a run is on disk in effect: computed once and written down here.
TEST(MixturePlan, NeverChangesBetweenReleases) {
  const std::vector<PlannedStage> stages = {{0, {0.5, 0.3, 0.2}}};
  const MixturePlan plan(stages, {kEndless, 40'009, kEndless}, 42);
  std::vector<std::int64_t> numbers;
  for (const std::int64_t i : {0, 1, 2, 3, 70'001, 200'003}) {
    const Drawn drawn = plan.at(i);
    numbers.push_back(static_cast<std::int64_t>(drawn.source) * 1'000'000 + drawn.sample);
  }
  EXPECT_THAT(numbers, ElementsAre(10'491, 24'295, 29'004, 1'016'877, 2'013'682, 140'059));
}

}  // namespace
}  // namespace stoa::trainer

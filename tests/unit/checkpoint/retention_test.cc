#include "stoa/checkpoint/retention.h"

#include <gtest/gtest.h>

#include <vector>

namespace stoa::checkpoint {
namespace {

using Steps = std::set<std::int64_t>;

/// Steps 10, 20, ... 70, of which 20, 40 and 60 were evaluated; 40 is the best.
std::vector<RetentionCandidate> seven() {
  std::vector<RetentionCandidate> candidates;
  for (std::int64_t step = 10; step <= 70; step += 10) candidates.push_back({step, std::nullopt});
  candidates[1].evaluation_loss = 3.5;
  candidates[3].evaluation_loss = 2.5;
  candidates[5].evaluation_loss = 3.5;
  return candidates;
}

TEST(Retention, TheNewestStay) {
  EXPECT_EQ(steps_to_remove(seven(), {2}), (Steps{10, 20, 30, 40, 50}));
  EXPECT_EQ(steps_to_remove(seven(), {7}), Steps{});
  EXPECT_EQ(steps_to_remove(seven(), {9}), Steps{});
  EXPECT_EQ(steps_to_remove({}, {1}), Steps{});
}

TEST(Retention, OneStaysWhateverIsAsked) {
  EXPECT_EQ(steps_to_remove(seven(), {0}), (Steps{10, 20, 30, 40, 50, 60}));
  EXPECT_EQ(steps_to_remove(seven(), {-5}), (Steps{10, 20, 30, 40, 50, 60}));
}

TEST(Retention, MultiplesStay) { EXPECT_EQ(steps_to_remove(seven(), {1, 30}), (Steps{10, 20, 40, 50})); }

TEST(Retention, TheBestStayAndOfEqualOnesTheNewer) {
  EXPECT_EQ(steps_to_remove(seven(), {1, 0, 1}), (Steps{10, 20, 30, 50, 60}));
  EXPECT_EQ(steps_to_remove(seven(), {1, 0, 2}), (Steps{10, 20, 30, 50}));
  EXPECT_EQ(steps_to_remove(seven(), {1, 0, 9}), (Steps{10, 30, 50}));
}

TEST(Retention, TheNewestWholeOneStays) {
  std::vector<RetentionCandidate> candidates = seven();
  for (const std::size_t damaged : {4, 5, 6}) candidates[damaged].is_whole = false;
  EXPECT_EQ(steps_to_remove(candidates, {2}), (Steps{10, 20, 30, 50}));
}

TEST(Retention, TheForecastIsWhatTheRulesKeepAtMost) {
  for (const RetentionRules& rules :
       {RetentionRules{2}, RetentionRules{1, 30}, RetentionRules{3, 0, 2}, RetentionRules{2, 45, 1}})
    for (const std::int64_t steps : {1, 9, 10, 257}) {
      std::vector<RetentionCandidate> kept;
      std::size_t most = 0;
      const auto save = [&](std::int64_t step) {
        kept.push_back({step, 1.0 + double(step % 7)});
        const Steps doomed = steps_to_remove(kept, rules);
        std::erase_if(kept, [&](const auto& each) { return doomed.contains(each.step); });
        most = std::max(most, kept.size());
      };
      for (std::int64_t step = 10; step < steps; step += 10) save(step);
      save(steps);
      EXPECT_LE(most, std::size_t(most_kept(rules, 10, steps))) << rules.keep_last << " of " << steps;
      EXPECT_GE(most + 3, std::size_t(most_kept(rules, 10, steps))) << rules.keep_last << " of " << steps;
    }
  EXPECT_EQ(most_kept(RetentionRules{2, 30, 4}, 0, 257), 1);
}

}  // namespace
}  // namespace stoa::checkpoint

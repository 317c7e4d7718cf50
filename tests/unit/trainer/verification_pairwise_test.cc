/// Every two values that can meet do, in few combinations.
#include "stoa/trainer/verification/pairwise.h"

#include <gtest/gtest.h>

#include <set>
#include <tuple>

namespace stoa::trainer {
namespace {

using Pair = std::tuple<std::size_t, int, std::size_t, int>;

std::set<Pair> pairs_of(const std::vector<Combination>& combinations) {
  std::set<Pair> pairs;
  for (const Combination& combination : combinations)
    for (std::size_t a = 0; a < combination.size(); ++a)
      for (std::size_t b = a + 1; b < combination.size(); ++b) pairs.emplace(a, combination[a], b, combination[b]);
  return pairs;
}

bool any(const Combination&) { return true; }

/// Not every pair can be: the first two axes together are 4 at most, and value 2 of the third needs value 1 of the
/// last.
bool some(const Combination& chosen) { return chosen[0] + chosen[1] <= 4 && (chosen[2] != 2 || chosen[3] == 1); }

TEST(VerificationPairwise, TheFullCrossHasEachPermittedCombinationOnce) {
  const auto all = full_cross({3, 1, 5}, any);
  EXPECT_EQ(all.size(), 15U);
  EXPECT_EQ(std::set<Combination>(all.begin(), all.end()).size(), 15U);
  for (const Combination& combination : full_cross({5, 4, 3, 2}, some)) EXPECT_TRUE(some(combination));
}

TEST(VerificationPairwise, CoversEveryPairThatOccursAndTakesOnlyWhatIsPermitted) {
  const auto all = full_cross({5, 4, 3, 2}, some);
  const auto cover = pairwise_cover(all);
  EXPECT_EQ(pairs_of(cover), pairs_of(all));
  for (const Combination& combination : cover) EXPECT_TRUE(some(combination));
  EXPECT_LT(cover.size(), all.size() / 2);
}

TEST(VerificationPairwise, FreeAxesMeetEverything) {
  const auto all = full_cross({5, 4, 3, 2}, some);
  const std::vector<int> free = {2, 3, 2, 4};
  const auto everything = full_cross({5, 4, 3, 2, 2, 3, 2, 4}, some);
  const auto cover = pairwise_cover(all, free);
  EXPECT_EQ(pairs_of(cover), pairs_of(everything));
  EXPECT_LT(cover.size(), 33U);
}

TEST(VerificationPairwise, EachBeginningCoversMoreThanAnyCombinationAlone) {
  const auto cover = pairwise_cover(full_cross({3, 3, 3, 3}, any));
  EXPECT_LE(cover.size(), 15U);  // 9 is the least
  std::set<Pair> before;
  for (const Combination& combination : cover) {
    std::set<Pair> after = before;
    after.merge(pairs_of({combination}));
    EXPECT_GT(after.size(), before.size());
    before = after;
  }
}

TEST(VerificationPairwise, OfNothingThereIsNoCover) { EXPECT_TRUE(pairwise_cover({}, {2, 3}).empty()); }

}  // namespace
}  // namespace stoa::trainer

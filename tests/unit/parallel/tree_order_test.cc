#include "stoa/parallel/tree_order.h"

#include <gtest/gtest.h>

#include <vector>

#include "stoa/tests/parallel/rank_values.h"

namespace stoa::parallel {
namespace {

std::vector<float> leaves(std::size_t first, std::size_t n) {
  std::vector<float> values(n);
  for (std::size_t i = 0; i < n; ++i) values[i] = rank_value<float>(0, first + i);
  return values;
}

float tree_sum(std::vector<float> values) {
  for_each_tree_sum(0, values.size(), [&](std::size_t left, std::size_t right) { values[left] += values[right]; });
  return values[0];
}

float streamed_sum(const std::vector<float>& values) {
  TreeAccumulator accumulator(values.size());
  std::vector<float> slots(TreeAccumulator::slots(values.size()));
  for (const float value : values) {
    slots.at(accumulator.next_slot()) = value;
    accumulator.leaf_done([&](std::size_t left, std::size_t right) { slots.at(left) += slots.at(right); });
  }
  return slots[0];
}

TEST(TreeOrder, SplitsAtTheLargestPowerOfTwoBelow) {
  EXPECT_EQ(tree_split(2), 1u);
  EXPECT_EQ(tree_split(3), 2u);
  EXPECT_EQ(tree_split(33), 32u);
  EXPECT_EQ(tree_split(64), 32u);
  EXPECT_EQ(tree_split(65), 64u);
}

TEST(TreeOrder, FiveLeavesAreAddedInPairsThenTheLast) {
  std::vector<std::pair<std::size_t, std::size_t>> sums;
  for_each_tree_sum(10, 5, [&](std::size_t left, std::size_t right) { sums.emplace_back(left, right); });
  EXPECT_EQ(sums, (std::vector<std::pair<std::size_t, std::size_t>>{{10, 11}, {12, 13}, {10, 12}, {10, 14}}));
}

TEST(TreeOrder, StreamedSumHasTheBitsOfTheTreeForAnyNumberOfLeaves) {
  for (std::size_t n = 1; n <= 70; ++n)
    for (std::size_t sample = 0; sample < 20; ++sample) {
      const std::vector<float> values = leaves(1000 * sample, n);
      EXPECT_EQ(first_difference(std::vector{streamed_sum(values)}, std::vector{tree_sum(values)}), 1u)
          << n << " leaves, sample " << sample;
    }
}

TEST(TreeOrder, ASequentialSumHasOtherBitsSoTheComparisonsMeanSomething) {
  std::size_t different = 0;
  for (std::size_t sample = 0; sample < 20; ++sample) {
    const std::vector<float> values = leaves(1000 * sample, 33);
    float sum = 0;
    for (const float value : values) sum += value;
    different += sum != tree_sum(values) ? 1 : 0;
  }
  EXPECT_GT(different, 0u);
}

TEST(TreeOrder, RanksThatHoldWholeSubtreesSumToTheBitsOfOneRank) {
  for (std::size_t ranks = 1; ranks <= 9; ++ranks)
    for (const std::size_t each : {1, 2, 4, 8, 16}) {
      ASSERT_TRUE(holds_whole_subtrees(static_cast<std::int64_t>(ranks), static_cast<std::int64_t>(each)));
      std::vector<float> of_ranks;
      for (std::size_t rank = 0; rank < ranks; ++rank) of_ranks.push_back(tree_sum(leaves(rank * each, each)));
      const float expected = tree_sum(leaves(0, ranks * each));
      EXPECT_EQ(first_difference(std::vector{tree_sum(of_ranks)}, std::vector{expected}), 1u)
          << ranks << " ranks of " << each;
    }
}

TEST(TreeOrder, ThreeLeavesARankAreNoSubtreeUnlessThereIsOneRank) {
  EXPECT_FALSE(holds_whole_subtrees(2, 3));
  EXPECT_TRUE(holds_whole_subtrees(1, 3));
}

}  // namespace
}  // namespace stoa::parallel

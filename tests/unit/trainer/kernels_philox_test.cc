#include "stoa/trainer/kernels/philox.h"

#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "stoa/tests/unit/trainer/kernel_cases.h"
#include "stoa/trainer/kernels/random_normal.h"

namespace stoa::trainer {
namespace {

TEST(Philox, GivesTheKnownAnswersOfRandom123) {
  EXPECT_EQ(philox4x32({0, 0}, {0, 0, 0, 0}), (PhiloxBlock{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}),
            (PhiloxBlock{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, BlockPutsBothHalvesOfBothIndicesIntoTheCounter) {
  EXPECT_EQ(philox_block({0xa4093822, 0x299f31d0}, 0x85a308d3243f6a88, 0x0370734413198a2e),
            (PhiloxBlock{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, SeedPurposeAndNumberEachMakeAnotherKey) {
  std::set<std::pair<std::uint32_t, std::uint32_t>> keys;
  for (const std::uint64_t seed : {0ULL, 1ULL, 0x100000000ULL})
    for (const auto purpose : {RandomPurpose::kInitialWeights, RandomPurpose::kGeneration})
      for (const std::uint64_t number : {0ULL, 1ULL, 0x100000000ULL}) {
        const PhiloxKey key = philox_key(seed, purpose, number);
        keys.emplace(key.low, key.high);
      }
  EXPECT_EQ(keys.size(), 18U);
}

TEST(Philox, UniformNumbersReachZeroAndStayBelowOne) {
  EXPECT_EQ(uniform_float(0), 0.0F);
  EXPECT_EQ(uniform_float(0xffffffff), 1.0F - 0x1p-24F);
  EXPECT_EQ(uniform_double(0, 0), 0.0);
  EXPECT_EQ(uniform_double(0xffffffff, 0xffffffff), 1.0 - 0x1p-53);
  EXPECT_EQ(uniform_double(0x80000000, 0), 0.5);
}

TEST(Philox, NormalNumbersHaveMeanZeroVarianceOneAndAreFinite) {
  constexpr int kPairs = 50001;
  double sum = 0;
  double squares = 0;
  double product = 0;
  for (std::uint64_t i = 0; i < kPairs; ++i) {
    const PhiloxBlock block = philox_block({3, 5}, i);
    const auto [a, b] = normal_pair(block[0], block[1]);
    sum += a + b;
    squares += double{a} * a + double{b} * b;
    product += double{a} * b;
  }
  // Five standard deviations: 1 / sqrt(2 n) of the mean, sqrt(2) times that of the variance, 1 / sqrt(n) of the
  // product.
  EXPECT_NEAR(sum / (2 * kPairs), 0, 0.0159);
  EXPECT_NEAR(squares / (2 * kPairs), 1, 0.0224);
  EXPECT_NEAR(product / kPairs, 0, 0.0224);
  for (const std::uint32_t extreme : {0U, 0xffffffffU})
    for (const float value : normal_pair(extreme, extreme)) EXPECT_LT(std::abs(value), 7.0F);
}

// Single precision: 6e-8 relative in radius and angle, a few roundings each, values up to 6.7.
TEST(FillNormal, GivesTheNumbersOfNormalPairOnEveryInstructionSet) {
  constexpr std::size_t kCount = 40 * 1024 + 33;
  const PhiloxKey key{7, 11};
  std::vector<float> first;
  on_each_isa(2, [&](cpu::Queue& queue) {
    std::vector<float> values(kCount);
    fill_normal(queue, key, 1, values);
    for (std::size_t i = 0; i < kCount; ++i) {
      const PhiloxBlock block = philox_block(key, i / 4);
      const std::size_t word = i % 4 / 2 * 2;
      ASSERT_NEAR(values[i], normal_pair(block[word], block[word + 1])[i % 2], 2e-6F) << i;
    }
    if (first.empty()) first = values;
    EXPECT_EQ(values, first);
  });
}

TEST(FillNormal, GivesTheSameBitsHoweverTheStreamIsCutIntoRows) {
  constexpr std::int64_t kCount = 5 * 1024 + 33;
  const PhiloxKey key{7, 11};
  on_each_isa(2, [&](cpu::Queue& queue) {
    std::vector<float> whole(kCount);
    fill_normal(queue, key, 0.5F, whole);
    for (const NormalRows& rows :
         {NormalRows{1, 1, 1}, NormalRows{0, 33, 65}, NormalRows{3, 65, 66}, NormalRows{130, 257, 513}}) {
      const std::int64_t count = (kCount - rows.first_element - rows.columns) / rows.stride + 1;
      std::vector<float> values(static_cast<std::size_t>(count * rows.columns));
      fill_normal(queue, key, 0.5F, rows, values);
      for (std::int64_t row = 0; row < count; ++row)
        for (std::int64_t column = 0; column < rows.columns; ++column)
          ASSERT_EQ(values[static_cast<std::size_t>(row * rows.columns + column)],
                    whole[static_cast<std::size_t>(rows.first_element + row * rows.stride + column)])
              << row << ", " << column << " of rows of " << rows.columns;
    }
  });
}

}  // namespace
}  // namespace stoa::trainer

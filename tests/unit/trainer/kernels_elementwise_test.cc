#include <gtest/gtest.h>

#include <limits>

#include "stoa/tests/unit/trainer/kernel_cases.h"
#include "stoa/trainer/kernels/elementwise.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kCounts[] = {1, 33, 257, 3 * 16384 + 65};

TEST(KernelsCast, RoundsToNearestEvenAsTheScalarDoesForEveryKindOfFloat) {
  // Each upper half with lower halves below, at and above the middle: zeros, denormals, infinities and NaNs included.
  std::vector<float> x;
  for (std::uint32_t high = 0; high < 0x10000; ++high)
    for (const std::uint32_t low : {0x0000U, 0x7fffU, 0x8000U, 0x8001U})
      x.push_back(std::bit_cast<float>((high << 16) | low));
  on_each_isa(2, [&](cpu::Queue& queue) {
    std::vector<bf16> y(x.size());
    cast(queue, x, y);
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(y[i].bits, to_bf16(x[i]).bits) << i;
  });
}

TEST(KernelsCast, WideningIsExactForEveryBf16) {
  std::vector<bf16> x(0x10000);
  for (std::size_t i = 0; i < x.size(); ++i) x[i].bits = static_cast<std::uint16_t>(i);
  on_each_isa(3, [&](cpu::Queue& queue) {
    std::vector<float> y(x.size());
    cast(queue, x, y);
    for (std::size_t i = 0; i < x.size(); ++i) ASSERT_EQ(std::bit_cast<std::uint32_t>(y[i]), i << 16);
  });
}

TEST(KernelsAdd, AddsEachElementOnce) {
  for (const std::size_t count : kCounts) {
    on_each_isa(3, [&](cpu::Queue& queue) {
      const auto x = normal_values(count, 1);
      auto y = normal_values(count, 2);
      const auto expected = plus(y, x);
      add(queue, x, y);
      EXPECT_TRUE(same_bits(y, expected));
    });
  }
}

TEST(KernelsFill, WritesTheValueEverywhereAlsoNegativeZero) {
  for (const std::size_t count : kCounts) {
    for (const float value : {0.0F, -0.0F, 1.5F}) {
      on_each_isa(3, [&](cpu::Queue& queue) {
        std::vector<float> y(count, NAN);
        fill(queue, value, y);
        EXPECT_TRUE(same_bits(y, std::vector<float>(count, value)));
      });
    }
  }
}

template <typename T>
class KernelsAddBranch : public ::testing::Test {};
TYPED_TEST_SUITE(KernelsAddBranch, ActivationTypes);

TYPED_TEST(KernelsAddBranch, RoundsTheSumOfBothOnceAlsoInPlace) {
  for (const std::size_t count : kCounts) {
    on_each_isa(3, [&](cpu::Queue& queue) {
      auto x = normal_values(count, 1);
      const auto branch = normal_values<TypeParam>(count, 2);
      std::vector<float> expected(count), sum(count, NAN);
      for (std::size_t i = 0; i < count; ++i) expected[i] = x[i] + to_float(branch[i]);
      add_branch<TypeParam>(queue, x, branch, sum);
      EXPECT_TRUE(same_bits(sum, expected));
      add_branch<TypeParam>(queue, x, branch, x);
      EXPECT_TRUE(same_bits(x, expected));
    });
  }
}

template <typename T>
class KernelsColumnSum : public ::testing::Test {};
TYPED_TEST_SUITE(KernelsColumnSum, ActivationTypes);

TYPED_TEST(KernelsColumnSum, AddsTheReferenceWithTheSameBitsForAnyNumberOfThreads) {
  for (const std::size_t rows : {1, 33, 64, 257}) {
    for (const std::size_t columns : {1, 33, 1057}) {
      const auto dy = normal_values<TypeParam>(rows * columns, 3);
      const auto before = normal_values(columns, 4);
      reference::Values expected = to_doubles(before);
      for (std::size_t i = 0; i < dy.size(); ++i) expected[i % columns] += to_float(dy[i]);
      std::vector<float> first;
      for (const int threads : {1, 2, 3}) {
        on_each_isa(threads, [&](cpu::Queue& queue) {
          auto db = before;
          std::vector<float> workspace(column_sum_workspace_floats(rows, columns), NAN);
          column_sum<TypeParam>(queue, dy, static_cast<std::int64_t>(columns), db, workspace);
          expect_near(db, expected, rounding_of<float>(4), "db");
          if (first.empty()) first = db;
          // Only additions, in a fixed order: even the instruction set makes no difference.
          EXPECT_TRUE(same_bits(db, first));
        });
      }
    }
  }
}

template <typename T>
class KernelsDropout : public ::testing::Test {};
TYPED_TEST_SUITE(KernelsDropout, ActivationTypes);

/// A first element beyond 2^34, so that the block's index needs more than 32 bits.
constexpr DropoutSite kSite{.rate = 0.3F, .key = {11, 12}, .step = 0x100000007, .first_element = 0x5000000003};

TYPED_TEST(KernelsDropout, KeepsWhatThePhiloxNumberOfItsGlobalIndexSays) {
  for (const std::size_t count : kCounts) {
    const auto x = normal_values<TypeParam>(count, 5);
    std::vector<TypeParam> expected(count);
    for (std::size_t i = 0; i < count; ++i) {
      const std::uint64_t index = kSite.first_element + i;
      const bool kept = uniform_float(philox_block(kSite.key, index / 4, kSite.step)[index % 4]) >= kSite.rate;
      expected[i] = from_float<TypeParam>(kept ? to_float(x[i]) * (1.0F / (1.0F - kSite.rate)) : 0.0F);
    }
    for (const int threads : {1, 3}) {
      on_each_isa(threads, [&](cpu::Queue& queue) {
        auto y = x;
        dropout<TypeParam>(queue, kSite, y);
        EXPECT_TRUE(same_bits(y, expected));
      });
    }
  }
}

TYPED_TEST(KernelsDropout, RanksThatHoldPiecesDropTheSameElements) {
  on_each_isa(2, [](cpu::Queue& queue) {
    const auto x = normal_values<TypeParam>(257, 6);
    auto whole = x;
    dropout<TypeParam>(queue, kSite, whole);
    auto pieces = x;
    for (const std::size_t cut : {std::size_t{0}, std::size_t{65}, std::size_t{66}}) {
      DropoutSite site = kSite;
      site.first_element += cut;
      const std::size_t end = cut == 0 ? 65 : cut == 65 ? 66 : 257;
      dropout<TypeParam>(queue, site, std::span(pieces).subspan(cut, end - cut));
    }
    EXPECT_TRUE(same_bits(pieces, whole));
  });
}

TYPED_TEST(KernelsDropout, FirstElementNeedNotBeginABlockOfNumbers) {
  const auto x = normal_values<TypeParam>(3 * 65, 6);
  for (const int threads : {1, 2})
    on_each_isa(threads, [&](cpu::Queue& queue) {
      auto whole = x;
      dropout<TypeParam>(queue, kSite, whole);
      // Through all places in a block of 4 and in a run of 64, with short rests.
      for (std::size_t cut = 0; cut < 67; ++cut)
        for (const std::size_t count : {std::size_t{1}, std::size_t{5}, x.size() - cut}) {
          std::vector<TypeParam> piece(x.begin() + static_cast<std::ptrdiff_t>(cut),
                                       x.begin() + static_cast<std::ptrdiff_t>(cut + count));
          DropoutSite site = kSite;
          site.first_element += cut;
          dropout<TypeParam>(queue, site, piece);
          for (std::size_t i = 0; i < count; ++i) ASSERT_EQ(to_float(piece[i]), to_float(whole[cut + i])) << cut;
        }
    });
}

TYPED_TEST(KernelsDropout, KeepsTheMeanAndDropsTheRate) {
  on_each_isa(2, [](cpu::Queue& queue) {
    constexpr std::size_t kCount = 100001;
    std::vector<TypeParam> x(kCount, from_float<TypeParam>(1));
    dropout<TypeParam>(queue, kSite, x);
    std::size_t dropped = 0;
    for (const TypeParam value : x) dropped += to_float(value) == 0 ? 1 : 0;
    // Five standard deviations of a binomial share: 5 sqrt(0.3 * 0.7 / 100001).
    EXPECT_NEAR(static_cast<double>(dropped) / kCount, 0.3, 0.0073);
  });
}

TYPED_TEST(KernelsDropout, RateZeroChangesNothing) {
  on_each_isa(1, [](cpu::Queue& queue) {
    const auto x = normal_values<TypeParam>(257, 7);
    auto y = x;
    dropout<TypeParam>(queue, {}, y);
    EXPECT_TRUE(same_bits(x, y));
  });
}

}  // namespace
}  // namespace stoa::trainer

#include <gtest/gtest.h>

#include "stoa/tests/reference/rope_reference.h"
#include "stoa/tests/unit/trainer/kernel_cases.h"
#include "stoa/trainer/kernels/rope.h"

namespace stoa::trainer {
namespace {

constexpr double kTheta = 10000;
constexpr std::int64_t kFirstPosition = 3;
constexpr std::int64_t kPositions = 33;
constexpr RowPositions kCounted{.per_sequence = kPositions, .first = kFirstPosition};

constexpr HeadColumns columns_of(std::int64_t rows, std::int64_t heads, std::int64_t head_width) {
  return {.rows = rows,
          .row_stride = 7 + heads * head_width + 2,
          .first_column = 7,
          .heads = heads,
          .head_width = head_width};
}
/// The rows are one position, a whole sequence and two sequences.
constexpr HeadColumns kCases[] = {columns_of(1, 1, 2), columns_of(33, 3, 6), columns_of(66, 5, 34),
                                  columns_of(66, 1, 130)};

std::size_t size_of(const HeadColumns& columns) { return static_cast<std::size_t>(columns.rows * columns.row_stride); }

std::vector<float> table_of(std::int64_t head_width) {
  std::vector<float> table(static_cast<std::size_t>((kFirstPosition + kPositions) * head_width));
  rope_table(kTheta, kFirstPosition + kPositions, head_width, table);
  return table;
}

template <typename T>
reference::Values expected_rope(const std::vector<T>& x, const HeadColumns& columns, const RowPositions& positions,
                                double sign) {
  reference::Values y = to_doubles(x);
  for (std::int64_t n = 0; n < columns.rows; ++n) {
    for (std::int64_t h = 0; h < columns.heads; ++h) {
      const auto head = y.begin() + n * columns.row_stride + columns.first_column + h * columns.head_width;
      const auto position = static_cast<double>(positions.of(n));
      const auto turned =
          reference::rope_head(reference::Values(head, head + columns.head_width), sign * position, kTheta);
      std::copy(turned.begin(), turned.end(), head);
    }
  }
  return y;
}

template <typename T>
class KernelsRope : public ::testing::Test {};
TYPED_TEST_SUITE(KernelsRope, ActivationTypes);

TYPED_TEST(KernelsRope, TurnsEachHeadByItsRowsPositionAndNothingElse) {
  for (const HeadColumns& columns : kCases) {
    const auto table = table_of(columns.head_width);
    on_each_isa(2, [&](cpu::Queue& queue) {
      const auto x = normal_values<TypeParam>(size_of(columns), 1);
      auto y = x;
      rope<TypeParam>(queue, y, columns, table, kCounted, RopeDirection::kForward);
      // The reference leaves other columns alone, so they must come back unchanged too.
      expect_near(y, expected_rope(x, columns, kCounted, 1), rounding_of<TypeParam>(), "y");
    });
  }
}

TYPED_TEST(KernelsRope, BackwardTurnsTheGradientTheOtherWay) {
  for (const HeadColumns& columns : kCases) {
    const auto table = table_of(columns.head_width);
    on_each_isa(3, [&](cpu::Queue& queue) {
      const auto dy = normal_values<TypeParam>(size_of(columns), 2);
      auto dx = dy;
      rope<TypeParam>(queue, dx, columns, table, kCounted, RopeDirection::kBackward);
      expect_near(dx, expected_rope(dy, columns, kCounted, -1), rounding_of<TypeParam>(), "dx");
    });
  }
}

TYPED_TEST(KernelsRope, TurnsByPositionIdsWhereThereAreSome) {
  for (const HeadColumns& columns : kCases) {
    const auto table = table_of(columns.head_width);
    std::vector<std::int32_t> ids;
    for (std::int64_t n = 0; n < columns.rows; ++n) ids.push_back(static_cast<std::int32_t>((5 * n + 2) % 36));
    const RowPositions positions{.per_sequence = kPositions, .first = kFirstPosition, .ids = ids};
    for (const int threads : {1, 3})
      on_each_isa(threads, [&](cpu::Queue& queue) {
        const auto x = normal_values<TypeParam>(size_of(columns), 1);
        auto y = x, dx = x;
        rope<TypeParam>(queue, y, columns, table, positions, RopeDirection::kForward);
        rope<TypeParam>(queue, dx, columns, table, positions, RopeDirection::kBackward);
        expect_near(y, expected_rope(x, columns, positions, 1), rounding_of<TypeParam>(), "y");
        expect_near(dx, expected_rope(x, columns, positions, -1), rounding_of<TypeParam>(), "dx");
      });
  }
}

TYPED_TEST(KernelsRope, IdsThatCountHaveTheBitsOfCounting) {
  const HeadColumns columns = columns_of(66, 3, 34);
  const auto table = table_of(columns.head_width);
  std::vector<std::int32_t> ids;
  for (std::int64_t n = 0; n < columns.rows; ++n) ids.push_back(static_cast<std::int32_t>(kCounted.of(n)));
  on_each_isa(2, [&](cpu::Queue& queue) {
    auto counted = normal_values<TypeParam>(size_of(columns), 1);
    auto given = counted;
    rope<TypeParam>(queue, counted, columns, table, kCounted, RopeDirection::kForward);
    rope<TypeParam>(queue, given, columns, table, {.ids = ids}, RopeDirection::kForward);
    EXPECT_TRUE(same_bits(counted, given));
  });
}

TYPED_TEST(KernelsRope, OneCachedPositionHasTheBitsOfTheWholeSequence) {
  const HeadColumns all = columns_of(33, 3, 34);
  HeadColumns one = all;
  one.rows = 1;
  const auto table = table_of(all.head_width);
  on_each_isa(2, [&](cpu::Queue& queue) {
    const auto x = normal_values<TypeParam>(size_of(all), 3);
    auto whole = x;
    rope<TypeParam>(queue, whole, all, table, {.per_sequence = kPositions}, RopeDirection::kForward);
    const auto row_of = [&](const std::vector<TypeParam>& rows) {
      return std::vector<TypeParam>(rows.begin() + 17 * all.row_stride, rows.begin() + 18 * all.row_stride);
    };
    auto row = row_of(x);
    rope<TypeParam>(queue, row, one, table, {.per_sequence = 1, .first = 17}, RopeDirection::kForward);
    EXPECT_TRUE(same_bits(row, row_of(whole)));
  });
}

TEST(KernelsRopeTable, HoldsCosinesThenSinesRoundedOnce) {
  const auto table = table_of(6);
  for (std::size_t t = 0; t < 36; ++t) {
    for (std::size_t e = 0; e < 3; ++e) {
      const double angle = static_cast<double>(t) * std::pow(kTheta, -2.0 * static_cast<double>(e) / 6);
      EXPECT_EQ(table[t * 6 + e], static_cast<float>(std::cos(angle)));
      EXPECT_EQ(table[t * 6 + 3 + e], static_cast<float>(std::sin(angle)));
    }
  }
}

TEST(KernelsRopeReference, TurningBackIsTheFiniteDifference) {
  const auto x = to_doubles(normal_values(10, 4));
  const auto dy = to_doubles(normal_values(10, 5));
  const auto numeric = reference::finite_difference(
      [&](const auto& at) { return reference::weighted_sum(dy, reference::rope_head(at, 12, kTheta)); }, x);
  const auto gradient = reference::rope_head(dy, -12, kTheta);
  for (std::size_t e = 0; e < x.size(); ++e) EXPECT_NEAR(gradient[e], numeric[e], 1e-9);
}

}  // namespace
}  // namespace stoa::trainer

#include "stoa/cluster/chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace stoa::cluster {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

std::vector<std::string> labels(const Axis& axis) {
  std::vector<std::string> texts;
  for (const double tick : axis.ticks) texts.push_back(axis.label(tick));
  return texts;
}

TEST(Axis, TicksAreMultiplesOfOneTwoOrFive) {
  EXPECT_THAT(labels(make_axis(0, 10, AxisEnds::kRounded)), testing::ElementsAre("0", "2", "4", "6", "8", "10"));
  EXPECT_THAT(labels(make_axis(2.31, 8.9, AxisEnds::kRounded)), testing::ElementsAre("2", "4", "6", "8", "10"));
  EXPECT_THAT(labels(make_axis(0, 0.3, AxisEnds::kRounded)), testing::ElementsAre("0", "0.1", "0.2", "0.3"));
  EXPECT_THAT(labels(make_axis(0, 2, AxisEnds::kRounded)), testing::ElementsAre("0", "0.5", "1.0", "1.5", "2.0"));
}

TEST(Axis, ExactEndsKeepTheirTicksInside) {
  const Axis axis = make_axis(1, 601, AxisEnds::kExact);
  EXPECT_EQ(axis.low, 1);
  EXPECT_EQ(axis.high, 601);
  EXPECT_THAT(labels(axis), testing::ElementsAre("200", "400", "600"));
  EXPECT_EQ(axis.fraction(301), 0.5);
}

TEST(Axis, LargeAndSmallNumbersStayShort) {
  EXPECT_THAT(labels(make_axis(0, 40'000, AxisEnds::kRounded)),
              testing::ElementsAre("0", "10 k", "20 k", "30 k", "40 k"));
  EXPECT_THAT(labels(make_axis(0, 3e6, AxisEnds::kRounded)), testing::ElementsAre("0", "1 M", "2 M", "3 M"));
  EXPECT_THAT(labels(make_axis(0, 3e-4, AxisEnds::kRounded)), testing::ElementsAre("0", "0.0001", "0.0002", "0.0003"));
  EXPECT_THAT(labels(make_axis(0, 6e-5, AxisEnds::kRounded)), testing::ElementsAre("0", "2e-05", "4e-05", "6e-05"));
  EXPECT_THAT(labels(make_axis(1e-4, 1.6e-4, AxisEnds::kRounded)),
              testing::ElementsAre("0.0001", "0.00012", "0.00014", "0.00016"));
}

TEST(Axis, AnyInputGivesAnAxisThatHoldsIt) {
  for (const double value : {0.0, 33.0, -65.0, 1e-300, 1e15}) {
    const Axis axis = make_axis(value, value, AxisEnds::kRounded);
    EXPECT_LT(axis.low, axis.high);
    EXPECT_GE(axis.fraction(value), 0);
    EXPECT_LE(axis.fraction(value), 1);
    EXPECT_LE(axis.ticks.size(), 9u);
  }
  EXPECT_LT(make_axis(kNan, INFINITY, AxisEnds::kRounded).low, make_axis(kNan, INFINITY, AxisEnds::kRounded).high);
}

TEST(Decimate, FewPointsStayAsTheyAre) {
  const std::vector<ChartPoint> points{{1, 3}, {2, 1}, {3, 2}};
  EXPECT_EQ(decimate(points, 65).size(), 3u);
}

TEST(Decimate, PointsThatAreNotFiniteAreLeftOut) {
  const std::vector<ChartPoint> points{{1, kNan}, {2, 1}, {3, INFINITY}};
  const auto kept = decimate(points, 65);
  ASSERT_EQ(kept.size(), 1u);
  EXPECT_EQ(kept[0].x, 2);
}

TEST(Decimate, ASpikeOfOneStepSurvivesInAHundredThousand) {
  std::vector<ChartPoint> points;
  for (int i = 0; i < 100'001; ++i)
    points.push_back({static_cast<double>(i), i == 65'257 ? 99.0 : i == 33 ? -99.0 : 1.0});
  const auto kept = decimate(points, 1500);
  EXPECT_LE(kept.size(), 1500u);
  const auto has = [&](double x, double y) {
    return std::any_of(kept.begin(), kept.end(), [&](const ChartPoint& p) { return p.x == x && p.y == y; });
  };
  EXPECT_TRUE(has(65'257, 99));
  EXPECT_TRUE(has(33, -99));
  EXPECT_TRUE(std::is_sorted(kept.begin(), kept.end(), [](auto& a, auto& b) { return a.x < b.x; }));
}

}  // namespace
}  // namespace stoa::cluster

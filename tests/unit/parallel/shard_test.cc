#include "stoa/parallel/shard.h"

#include <gtest/gtest.h>

#include "stoa/base/error.h"

namespace stoa::parallel {
namespace {

TEST(Shard, SlicesCoverTheExtentWithTheLargerOnesFirst) {
  for (const std::int64_t extent : {0, 1, 33, 65, 257})
    for (const int parts : {1, 2, 3, 7, 64}) {
      std::int64_t at = 0;
      std::int64_t larger = extent;
      for (int index = 0; index < parts; ++index) {
        const Slice slice = balanced_slice(extent, parts, index);
        EXPECT_EQ(slice.begin, at);
        EXPECT_LE(slice.size(), larger);
        EXPECT_GE(slice.size(), extent / parts);
        at = slice.end;
        larger = slice.size();
      }
      EXPECT_EQ(at, extent);
      EXPECT_LE(balanced_slice(extent, parts, 0).size() - larger, 1);
    }
}

TEST(Shard, ShardedDimIsCutAndTheOthersAreWhole) {
  const Placement columns{.kind = PlacementKind::kSharded, .dim = 1};
  EXPECT_EQ(shard_box({33, 65}, columns, 2, 1), (Box{.begin = {0, 33}, .size = {33, 32}}));
}

TEST(Shard, ReplicatedAndPartialRanksHoldTheWholeBox) {
  EXPECT_EQ(shard_box({33, 65}, {.kind = PlacementKind::kReplicated}, 4, 3), whole_box({33, 65}));
  EXPECT_EQ(shard_box({33, 65}, {.kind = PlacementKind::kPartial}, 4, 3), whole_box({33, 65}));
  EXPECT_EQ(whole_box({33, 65}).elements(), 33 * 65);
}

TEST(Shard, ABoxWithoutDimsIsOneNumber) { EXPECT_EQ(whole_box({}).elements(), 1); }

TEST(Shard, BoxesMeetInWhatTheyShare) {
  const Box a{.begin = {0, 10}, .size = {33, 20}};
  const Box b{.begin = {30, 0}, .size = {35, 11}};
  EXPECT_EQ(intersect(a, b), (Box{.begin = {30, 10}, .size = {3, 1}}));
  EXPECT_EQ(intersect(b, a), intersect(a, b));
}

TEST(Shard, BoxesThatOnlyTouchOrAreEmptyShareNothing) {
  const Box a{.begin = {0}, .size = {33}};
  EXPECT_EQ(intersect(a, {.begin = {33}, .size = {65}}), std::nullopt);
  EXPECT_EQ(intersect(a, {.begin = {7}, .size = {0}}), std::nullopt);
}

TEST(Shard, ShardsOfTwoLayoutsTogetherCoverTheTensorOnce) {
  const Placement rows{.kind = PlacementKind::kSharded, .dim = 0};
  const Placement columns{.kind = PlacementKind::kSharded, .dim = 1};
  std::int64_t elements = 0;
  for (int row = 0; row < 3; ++row)
    for (int column = 0; column < 5; ++column)
      if (const auto shared = intersect(shard_box({65, 33}, rows, 3, row), shard_box({65, 33}, columns, 5, column)))
        elements += shared->elements();
  EXPECT_EQ(elements, 65 * 33);
}

TEST(Shard, ADimThatTheTensorDoesNotHaveIsADefect) {
  EXPECT_THROW(shard_box({33}, {.kind = PlacementKind::kSharded, .dim = 1}, 2, 0), InternalError);
  EXPECT_THROW(static_cast<void>(intersect(whole_box({33}), whole_box({33, 65}))), InternalError);
}

}  // namespace
}  // namespace stoa::parallel

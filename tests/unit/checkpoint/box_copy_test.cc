#include "stoa/checkpoint/box_copy.h"

#include <gtest/gtest.h>

#include <numeric>

namespace stoa::checkpoint {
namespace {

using parallel::Box;

/// Copies what two boxes of a tensor share and compares with one element at a time.
void expect_same_as_by_element(const std::vector<std::int64_t>& shape, const Box& from, const Box& to) {
  const auto shared = parallel::intersect(from, to);
  ASSERT_TRUE(shared);
  std::vector<int> source(static_cast<std::size_t>(from.elements())), walked(static_cast<std::size_t>(to.elements()));
  std::vector<int> expected = walked;
  std::iota(source.begin(), source.end(), 1);
  std::int64_t before = -1;
  for (RunWalk walk(*shared, from, to); !walk.done(); walk.next()) {
    const Run run = walk.run();
    EXPECT_GT(run.from, before);
    before = run.from;
    std::copy_n(source.begin() + run.from, run.count, walked.begin() + run.to);
  }
  std::vector<std::int64_t> at(shape.size());
  for (std::int64_t i = 0; i < from.elements(); ++i) {
    std::int64_t rest = i, target = 0;
    bool inside = true;
    for (std::size_t d = shape.size(); d-- > 0; rest /= from.size[d]) at[d] = from.begin[d] + rest % from.size[d];
    for (std::size_t d = 0; d < shape.size(); ++d) {
      inside = inside && at[d] >= to.begin[d] && at[d] < to.begin[d] + to.size[d];
      target = target * to.size[d] + at[d] - to.begin[d];
    }
    if (inside) expected[static_cast<std::size_t>(target)] = source[static_cast<std::size_t>(i)];
  }
  EXPECT_EQ(walked, expected);
}

TEST(RunWalk, CopiesWhatTwoBoxesShareInAnyNumberOfDims) {
  expect_same_as_by_element({257}, {{0}, {257}}, {{100}, {157}});
  expect_same_as_by_element({33, 65}, {{0, 0}, {17, 65}}, {{5, 0}, {28, 65}});
  expect_same_as_by_element({33, 65}, {{0, 0}, {17, 65}}, {{5, 30}, {28, 35}});
  expect_same_as_by_element({33, 65}, {{3, 11}, {1, 1}}, {{0, 0}, {33, 65}});
  expect_same_as_by_element({5, 3, 7}, {{0, 0, 0}, {5, 3, 7}}, {{1, 0, 2}, {3, 3, 5}});
  expect_same_as_by_element({5, 3, 7}, {{1, 0, 0}, {3, 2, 7}}, {{0, 1, 0}, {5, 2, 7}});
}

TEST(RunWalk, WholeRowsAreOneRun) {
  const Box from{{0, 0, 0}, {5, 3, 7}}, to{{2, 0, 0}, {2, 3, 7}};
  RunWalk walk(to, from, to);
  EXPECT_EQ(walk.run().from, 42);
  EXPECT_EQ(walk.run().count, 42);
  walk.next();
  EXPECT_TRUE(walk.done());
}

TEST(RunWalk, AScalarIsOneRunOfOne) {
  const Box scalar;
  RunWalk walk(scalar, scalar, scalar);
  EXPECT_EQ(walk.run().count, 1);
  walk.next();
  EXPECT_TRUE(walk.done());
}

}  // namespace
}  // namespace stoa::checkpoint

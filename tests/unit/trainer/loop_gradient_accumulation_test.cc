#include "stoa/trainer/optimizer/gradient_accumulation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/trainer/loop_cases.h"
#include "stoa/trainer/kernels/philox.h"

namespace stoa::trainer {
namespace {

/// Of micro-batch g: sizes differ so much that every order of adding rounds differently.
float leaf_value(std::int64_t g, std::size_t i) {
  const PhiloxBlock block = philox_block(philox_key(7, RandomPurpose::kSampleOrder, std::uint64_t(g)), i);
  return float(std::ldexp(uniform_double(block[0], block[1]) - 0.5, int(block[2] % 7)));
}

struct Sums {
  std::vector<float> gradients;
  LossSums losses;
};

/// Two steps, the second counts: whatever the first left behind must be gone.
Sums accumulate(int ranks, std::int64_t micro_batches, SumOrder order) {
  const ParameterTable table = make_parameter_table(loop_model());
  std::vector<Sums> sums(std::size_t(ranks), Sums{});
  parallel::run_thread_ranks(ranks, kLoopDeadline_s, [&](parallel::Communicator& group) {
    cpu::Queue queue(loop_queue());
    const std::int64_t own = micro_batches / ranks;
    GradientAccumulation accumulation(queue, table, group, order, own);
    LossSums losses;
    for (const int step : {1, 2}) {
      accumulation.begin_step();
      for (std::int64_t m = 0; m < own; ++m)
        accumulation.add([&](std::span<float> into) {
          const std::int64_t g = group.rank() * own + m;
          for (std::size_t i = 0; i < into.size(); ++i) into[i] += leaf_value(g, i) * float(step);
          return LossSums{double(leaf_value(g, 1)) * step, double(leaf_value(g, 2)) * step};
        });
      losses = accumulation.finish_step();
    }
    const auto values = accumulation.gradients().first(std::size_t(table.elements));
    sums[std::size_t(group.rank())] = {{values.begin(), values.end()}, losses};
  });
  for (const Sums& rank : sums) {
    EXPECT_EQ(rank.gradients, sums[0].gradients);
    EXPECT_EQ(rank.losses.loss, sums[0].losses.loss);
  }
  return sums[0];
}

/// In double, with the head's part added to the embedding it is tied to.
std::vector<double> reference(std::int64_t micro_batches) {
  const ParameterTable table = make_parameter_table(loop_model());
  std::vector<double> sums(std::size_t(table.gradient_elements));
  for (std::int64_t g = 0; g < micro_batches; ++g)
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += 2.0 * leaf_value(g, i);
  for (std::int64_t i = table.head_gradient; i < table.gradient_elements; ++i)
    sums[std::size_t(table.embedding + i - table.head_gradient)] += sums[std::size_t(i)];
  sums.resize(std::size_t(table.elements));
  return sums;
}

/// Values reach 32 and up to 2 * 8 are added in fp32: a few times 2^-24 * 512.
constexpr double kTolerance = 1e-4;

TEST(LoopThreadRanksGradients, TheTreesBitsAreThoseOfOneRank) {
  const Sums one = accumulate(1, 8, SumOrder::kTree);
  for (const int ranks : {2, 4, 8}) {
    const Sums many = accumulate(ranks, 8, SumOrder::kTree);
    EXPECT_EQ(many.gradients, one.gradients) << ranks;
    EXPECT_EQ(many.losses.loss, one.losses.loss) << ranks;
    EXPECT_EQ(many.losses.z, one.losses.z) << ranks;
  }
}

TEST(LoopThreadRanksGradients, BothOrdersComeCloseToTheSumInDouble) {
  for (const std::int64_t micro_batches : {1, 3, 7, 8}) {
    const std::vector<double> expected = reference(micro_batches);
    for (const SumOrder order : {SumOrder::kFast, SumOrder::kTree}) {
      const Sums sums = accumulate(1, micro_batches, order);
      for (std::size_t i = 0; i < expected.size(); ++i)
        ASSERT_NEAR(sums.gradients[i], expected[i], kTolerance) << micro_batches << " micro-batches, element " << i;
    }
  }
}

TEST(LoopThreadRanksGradients, TheFastOrderIsCloseOnAnyNumberOfRanks) {
  const std::vector<double> expected = reference(6);
  for (const int ranks : {1, 2, 3}) {
    const Sums sums = accumulate(ranks, 6, SumOrder::kFast);
    for (std::size_t i = 0; i < expected.size(); ++i)
      ASSERT_NEAR(sums.gradients[i], expected[i], kTolerance) << ranks << " ranks, element " << i;
  }
}

TEST(LoopGradients, TheTreeNeedsABufferForEachOpenSum) {
  EXPECT_EQ(GradientAccumulation::buffers(SumOrder::kFast, 1000), 1);
  EXPECT_EQ(GradientAccumulation::buffers(SumOrder::kTree, 1), 1);
  EXPECT_EQ(GradientAccumulation::buffers(SumOrder::kTree, 7), 3);
  EXPECT_EQ(GradientAccumulation::buffers(SumOrder::kTree, 8), 4);
}

}  // namespace
}  // namespace stoa::trainer

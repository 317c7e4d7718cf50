#include "stoa/parallel/pipeline_runner.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/tests/unit/parallel/pipeline_clock.h"
#include "stoa/tests/unit/parallel/pipeline_shapes.h"
#include "stoa/tests/unit/parallel/pipeline_tanh.h"

namespace stoa::parallel {

namespace {

using enum PipelineKind;

class PipelineRun : public testing::TestWithParam<PipelineShape> {};

INSTANTIATE_TEST_SUITE_P(Shapes, PipelineRun,
                         testing::Values(PipelineShape{kGpipe, 1, 1, 5}, PipelineShape{kGpipe, 2, 1, 7},
                                         PipelineShape{kGpipe, 4, 1, 9}, PipelineShape{kOneForwardOneBackward, 1, 1, 5},
                                         PipelineShape{kOneForwardOneBackward, 2, 1, 7},
                                         PipelineShape{kOneForwardOneBackward, 3, 1, 2},
                                         PipelineShape{kOneForwardOneBackward, 4, 1, 11},
                                         PipelineShape{kInterleaved, 2, 2, 6}, PipelineShape{kInterleaved, 2, 3, 2},
                                         PipelineShape{kInterleaved, 3, 2, 9}, PipelineShape{kInterleaved, 4, 3, 8},
                                         PipelineShape{kZeroBubble, 1, 1, 5}, PipelineShape{kZeroBubble, 2, 1, 7},
                                         PipelineShape{kZeroBubble, 3, 1, 11}, PipelineShape{kZeroBubble, 4, 1, 3},
                                         PipelineShape{kZeroBubble, 4, 1, 9}, PipelineShape{kForwardOnly, 1, 1, 5},
                                         PipelineShape{kForwardOnly, 3, 1, 7}, PipelineShape{kForwardOnly, 4, 2, 9},
                                         PipelineShape{kForwardOnly, 2, 3, 5}));

// Every data rank its own samples.
std::vector<TanhResult> run_tanh(const PipelineShape& shape, int data, int times = 1) {
  const auto plans = make_pipeline_schedule(shape);
  std::vector<TanhResult> results(static_cast<std::size_t>(data));
  std::mutex mutex;
  run_mesh({.data = data, .pipeline = shape.stages}, [&](MeshGroups& groups) {
    const PipelinePlan& plan = plans[std::size_t(groups.at.pipeline)];
    PipelineRunner runner(groups, TanhSamples::kMostFloats);
    for (int time = 0; time < times; ++time) {
      TanhStage work(shape, plan, groups.at.pipeline, {.seed = groups.at.data});
      runner.run(shape, plan, work);
      const std::lock_guard lock(mutex);
      work.add_to(results[std::size_t(groups.at.data)]);
    }
  });
  return results;
}

TEST_P(PipelineRun, GivesTheSameBitsAsOneMicroBatchAfterTheOther) {
  EXPECT_EQ(run_tanh(GetParam(), 1).front(), in_order(GetParam(), {.seed = 0}));
}

TEST_P(PipelineRun, MeasuresThePublishedBubbleWhereItHoldsAndMoreElsewhere) {
  const StepCosts costs{.forward_s = 3, .backward_input_s = 3, .backward_weight_s = 3};
  const double published = published_bubble(GetParam(), costs);
  const double measured = measured_bubble(GetParam(), costs);
  if (bubble_is_published(GetParam(), costs))
    EXPECT_NEAR(measured, published, 0.01 * published);
  else
    EXPECT_GT(measured, published);
}

TEST_P(PipelineRun, MeasuresTheSimulatedBubble) {
  const StepCosts costs{.forward_s = 3, .backward_input_s = 4, .backward_weight_s = 2};
  const double simulated =
      simulate_pipeline(GetParam(), make_pipeline_schedule(GetParam()), uniform_costs(GetParam(), costs)).bubble;
  // Sums of whole numbers: what remains is the division's last bit.
  EXPECT_NEAR(measured_bubble(GetParam(), costs), simulated, 1e-12);
}

TEST(PipelineRunner, KeepsTwoPipelinesOfAMeshApart) {
  for (const PipelineShape& shape : {PipelineShape{kOneForwardOneBackward, 2, 1, 5}, {kInterleaved, 2, 2, 4}}) {
    const std::vector<TanhResult> results = run_tanh(shape, 2);
    EXPECT_EQ(results[0], in_order(shape, {.seed = 0}));
    EXPECT_EQ(results[1], in_order(shape, {.seed = 1}));
    EXPECT_NE(results[0], results[1]);
  }
}

// A gradient must not wait behind activations that its receiver does not need yet.
TEST(PipelineRunner, PassesActivationsAndGradientsOverGroupsOfTheirOwn) {
  const PipelineShape shape{kInterleaved, 3, 2, 6};
  const auto plans = make_pipeline_schedule(shape);
  run_mesh({.pipeline = 3}, [&](MeshGroups& groups) {
    const PipelinePlan& plan = plans[std::size_t(groups.at.pipeline)];
    ClockWork work({});
    PipelineRunner(groups, 1).run(shape, plan, work);
    const auto count = [&](PipelineStep one, PipelineStep other) {
      return std::uint64_t(std::ranges::count_if(
          plan.actions, [&](const PipelineAction& action) { return action.step == one || action.step == other; }));
    };
    using enum PipelineStep;
    EXPECT_EQ(groups.pipeline->ledger().count(), count(kSendActivation, kReceiveActivation));
    EXPECT_EQ(groups.pipeline_back->ledger().count(), count(kSendGradient, kReceiveGradient));
  });
}

TEST(PipelineRunner, RunsStepAfterStep) {
  const PipelineShape shape{kZeroBubble, 3, 1, 5};
  EXPECT_EQ(run_tanh(shape, 1, 3).front(), in_order(shape, {.seed = 0}));
}

TEST(PipelineRunner, NamesTheActionWhoseMessageIsTooLong) {
  const PipelineShape shape{kOneForwardOneBackward, 2, 1, 5};
  const auto plans = make_pipeline_schedule(shape);
  try {
    run_mesh({.pipeline = 2}, [&](MeshGroups& groups) {
      const PipelinePlan& plan = plans[std::size_t(groups.at.pipeline)];
      TanhStage work(shape, plan, groups.at.pipeline, {});
      PipelineRunner(groups, 256).run(shape, plan, work);
    });
    FAIL() << "micro-batch 2 has 257 floats";
  } catch (const InternalError& error) {
    EXPECT_NE(std::string(error.what()).find("of micro-batch 2, chunk 0: a message of 257 floats, where 256"),
              std::string::npos)
        << error.what();
  }
}

TEST(PipelineRunner, RefusesAScheduleOfAnotherNumberOfStages) {
  const PipelineShape shape{kOneForwardOneBackward, 3, 1, 5};
  const auto plans = make_pipeline_schedule(shape);
  EXPECT_THROW(run_mesh({.pipeline = 2},
                        [&](MeshGroups& groups) {
                          ClockWork work({});
                          PipelineRunner(groups, 1).run(shape, plans[0], work);
                        }),
               InternalError);
}

TEST(PipelineRunner, HasMemoryForFourMessagesWhereThereAreMessages) {
  EXPECT_EQ(PipelineRunner::memory_bytes({.data = 2, .pipeline = 1}, 257), 0U);
  EXPECT_EQ(PipelineRunner::memory_bytes({.pipeline = 3}, 257), 4 * 257 * sizeof(float));
}

}  // namespace
}  // namespace stoa::parallel

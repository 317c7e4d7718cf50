#include "stoa/parallel/pipeline_schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>

#include "stoa/base/error.h"
#include "stoa/tests/unit/parallel/pipeline_shapes.h"

namespace stoa::parallel {
namespace {

using enum PipelineKind;
using enum PipelineStep;

std::string letter(PipelineStep step) {
  switch (step) {
    case kForward:
      return "F";
    case kBackward:
    case kBackwardInput:
      return "B";
    case kBackwardWeight:
      return "W";
    default:
      return "";
  }
}

// The steps of a stage: "F0 F1 B0", with the chunk behind a dot where there are several: "F0.1".
std::string steps_of(const PipelineShape& shape, int stage) {
  std::string text;
  const auto plans = make_pipeline_schedule(shape);
  for (const PipelineAction& action : plans[std::size_t(stage)].actions)
    if (const std::string step = letter(action.step); !step.empty())
      text += fmt::format("{}{}{}{}", text.empty() ? "" : " ", step, action.micro_batch,
                          shape.chunks == 1 ? "" : fmt::format(".{}", action.chunk));
  return text;
}

std::string refusal(const PipelineShape& shape) {
  try {
    make_pipeline_schedule(shape);
  } catch (const ConfigError& error) {
    return error.what();
  }
  return "";
}

// Calls check(shape, stage, plan) for every stage of every shape that is allowed, until one fails.
template <typename Check>
void for_all_plans(Check&& check) {
  for (const PipelineShape& shape : allowed_shapes()) {
    const auto plans = make_pipeline_schedule(shape);
    ASSERT_EQ(plans.size(), std::size_t(shape.stages)) << shape;
    for (int stage = 0; stage < shape.stages; ++stage) check(shape, stage, plans[std::size_t(stage)]);
    if (testing::Test::HasFailure()) FAIL() << shape;
  }
}

int place_of(const PipelinePlan& plan, PipelineStep step, int chunk, int micro_batch) {
  const auto at = std::ranges::find_if(plan.actions, [&](const PipelineAction& action) {
    return action.step == step && action.chunk == chunk && action.micro_batch == micro_batch;
  });
  return int(at - plan.actions.begin());
}

std::vector<PipelineStep> steps_of_kind(PipelineKind kind) {
  if (kind == kForwardOnly) return {kForward};
  if (kind == kZeroBubble) return {kForward, kBackwardInput, kBackwardWeight};
  return {kForward, kBackward};
}

TEST(PipelineSchedule, DoesEachStepOfEachMicroBatchAndChunkOnceForwardFirst) {
  for_all_plans([](const PipelineShape& shape, int, const PipelinePlan& plan) {
    const std::vector<PipelineStep> steps = steps_of_kind(shape.kind);
    const auto computes =
        std::ranges::count_if(plan.actions, [](const PipelineAction& action) { return !letter(action.step).empty(); });
    EXPECT_EQ(std::size_t(computes), steps.size() * std::size_t(shape.chunks * shape.micro_batches));
    for (int chunk = 0; chunk < shape.chunks; ++chunk)
      for (int micro_batch = 0; micro_batch < shape.micro_batches; ++micro_batch) {
        int before = -1;
        for (const PipelineStep step : steps) {
          const int place = place_of(plan, step, chunk, micro_batch);
          EXPECT_LT(place, int(plan.actions.size()));
          EXPECT_GT(place, before);
          before = place;
        }
      }
  });
}

TEST(PipelineSchedule, GoesThroughMicroBatchesInOneOrderInEveryKindOfStep) {
  for_all_plans([](const PipelineShape&, int, const PipelinePlan& plan) {
    std::map<std::pair<PipelineStep, int>, int> next;
    for (const PipelineAction& action : plan.actions) {
      EXPECT_EQ(action.micro_batch, (next[{action.step, action.chunk}]++));
    }
  });
}

TEST(PipelineSchedule, ReceivesRightBeforeAStepAndSendsRightAfterIt) {
  for_all_plans([](const PipelineShape& shape, int stage, const PipelinePlan& plan) {
    std::vector<PipelineAction> expected;
    const auto add = [&](PipelineAction action, PipelineStep step) {
      action.step = step;
      expected.push_back(action);
    };
    for (const PipelineAction& action : plan.actions) {
      if (letter(action.step).empty()) continue;
      const int global = action.chunk * shape.stages + stage;
      const bool has_before = global > 0, has_next = global < shape.stages * shape.chunks - 1;
      const bool forward = action.step == kForward, weight = action.step == kBackwardWeight;
      if (forward && has_before) add(action, kReceiveActivation);
      if (!forward && !weight && has_next) add(action, kReceiveGradient);
      expected.push_back(action);
      if (forward && has_next) add(action, kSendActivation);
      if (!forward && !weight && has_before) add(action, kSendGradient);
    }
    EXPECT_EQ(plan.actions, expected);
  });
}

TEST(PipelineSchedule, HoldsTheLowestFreeSlotFromForwardToTheLastReader) {
  for_all_plans([](const PipelineShape& shape, int, const PipelinePlan& plan) {
    const PipelineStep last = steps_of_kind(shape.kind).back();
    std::vector<std::map<int, int>> holder(static_cast<std::size_t>(shape.chunks));  // slot to micro-batch
    for (const PipelineAction& action : plan.actions) {
      if (letter(action.step).empty()) continue;
      std::map<int, int>& slots = holder[std::size_t(action.chunk)];
      if (action.step == kForward) {
        int lowest = 0;
        while (slots.contains(lowest)) ++lowest;
        EXPECT_EQ(action.slot, lowest);
        slots[lowest] = action.micro_batch;
      }
      EXPECT_TRUE(slots.contains(action.slot) && slots[action.slot] == action.micro_batch);
      if (action.step == last) slots.erase(action.slot);
    }
    for (const std::map<int, int>& slots : holder) EXPECT_TRUE(slots.empty());
  });
}

TEST(PipelineSchedule, RefusesExactlyTheShapesThatTheKindCannotHave) {
  for (const PipelineShape& shape : all_shapes()) EXPECT_EQ(refusal(shape).empty(), is_allowed(shape)) << shape;
  for (const PipelineShape& shape : {PipelineShape{kGpipe, 0, 1, 5}, {kGpipe, 2, 0, 5}, {kGpipe, 2, 1, 0}})
    EXPECT_NE(refusal(shape).find("1 at least"), std::string::npos) << refusal(shape);
}

TEST(PipelineSchedule, ShowsTheArithmeticOfARefusalAndWhatWouldDo) {
  EXPECT_EQ(
      refusal({kInterleaved, 4, 2, 10}),
      "an interleaved schedule needs whole groups of one micro-batch a stage, but 10 micro-batches = 2 x 4 stages "
      "+ 2: take 8 or 12");
  EXPECT_NE(refusal({kInterleaved, 4, 2, 3}).find("= 0 x 4 stages + 3: take 4"), std::string::npos);
  EXPECT_NE(refusal({kInterleaved, 4, 1, 8}).find("is 1f1b"), std::string::npos);
  EXPECT_NE(refusal({kGpipe, 4, 3, 8}).find("take interleaved, or one chunk"), std::string::npos);
  EXPECT_NE(refusal({kForwardOnly, 1, 2, 8}).find("2 chunks on one stage"), std::string::npos);
}

TEST(PipelineSchedule, OnOneStageIsTheOrderWithoutAPipeline) {
  EXPECT_EQ(steps_of({kGpipe, 1, 1, 3}, 0), "F0 F1 F2 B0 B1 B2");
  EXPECT_EQ(steps_of({kOneForwardOneBackward, 1, 1, 3}, 0), "F0 B0 F1 B1 F2 B2");
  EXPECT_EQ(steps_of({kInterleaved, 1, 1, 3}, 0), "F0 B0 F1 B1 F2 B2");
  EXPECT_EQ(steps_of({kZeroBubble, 1, 1, 3}, 0), "F0 B0 W0 F1 B1 W1 F2 B2 W2");
  EXPECT_EQ(steps_of({kForwardOnly, 1, 1, 3}, 0), "F0 F1 F2");
}

// The figures of the papers, as text.
TEST(PipelineSchedule, IsTheOneThatThePapersDraw) {
  EXPECT_EQ(steps_of({kOneForwardOneBackward, 4, 1, 6}, 0), "F0 F1 F2 F3 B0 F4 B1 F5 B2 B3 B4 B5");
  EXPECT_EQ(steps_of({kOneForwardOneBackward, 4, 1, 6}, 3), "F0 B0 F1 B1 F2 B2 F3 B3 F4 B4 F5 B5");
  EXPECT_EQ(steps_of({kInterleaved, 2, 2, 4}, 0),
            "F0.0 F1.0 F0.1 F1.1 F2.0 B0.1 F3.0 B1.1 F2.1 B0.0 F3.1 B1.0 B2.1 B3.1 B2.0 B3.0");
  EXPECT_EQ(steps_of({kInterleaved, 2, 2, 4}, 1),
            "F0.0 F1.0 F0.1 B0.1 F1.1 B1.1 F2.0 B0.0 F3.0 B1.0 F2.1 B2.1 F3.1 B3.1 B2.0 B3.0");
  EXPECT_EQ(steps_of({kZeroBubble, 3, 1, 5}, 0), "F0 F1 F2 B0 W0 F3 B1 W1 F4 B2 W2 B3 W3 B4 W4");
  EXPECT_EQ(steps_of({kZeroBubble, 3, 1, 5}, 2), "F0 B0 F1 B1 F2 B2 W0 F3 B3 W1 F4 B4 W2 W3 W4");
  EXPECT_EQ(steps_of({kForwardOnly, 2, 2, 3}, 0), "F0.0 F1.0 F0.1 F1.1 F2.0 F2.1");
}

TEST(PipelineSchedule, NamesAnActionForTheOperator) {
  EXPECT_EQ(describe_action(1, {.step = kBackward, .chunk = 0, .micro_batch = 3}),
            "stage 1, backward of micro-batch 3, chunk 0");
  std::set<std::string> names;
  for (int step = 0; step <= int(kSendGradient); ++step) names.insert(describe_action(2, {.step = PipelineStep(step)}));
  EXPECT_EQ(names.size(), std::size_t(kSendGradient) + 1);
}

}  // namespace
}  // namespace stoa::parallel

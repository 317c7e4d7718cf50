/// A rank that fails at any action of any schedule: the error says where, and nobody waits for ever.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/parallel/pipeline_runner.h"
#include "stoa/tests/unit/parallel/pipeline_clock.h"
#include "stoa/tests/unit/parallel/pipeline_shapes.h"
#include "stoa/tests/unit/parallel/pipeline_tanh.h"

namespace stoa::parallel {
namespace {

using enum PipelineKind;

enum class Thrown { kError, kOther };

// Throws in place of one step of one stage.
class FailingStage final : public TanhStage {
 public:
  FailingStage(const PipelineShape& shape, const PipelinePlan& plan, int stage, const PipelineAction* fails_at,
               Thrown thrown)
      : TanhStage(shape, plan, stage, {}), fails_at_(fails_at), thrown_(thrown) {}

  void forward(const PipelineAction& action, std::span<const float> x_in, std::span<float> x_out) override {
    fail(action);
    TanhStage::forward(action, x_in, x_out);
  }
  void backward(const PipelineAction& action, std::span<const float> dx_out, std::span<float> dx_in) override {
    fail(action);
    TanhStage::backward(action, dx_out, dx_in);
  }
  void backward_weight(const PipelineAction& action) override {
    fail(action);
    TanhStage::backward_weight(action);
  }

 private:
  void fail(const PipelineAction& action) const {
    if (fails_at_ == nullptr || !(action == *fails_at_)) return;
    if (thrown_ == Thrown::kError) throw NumericError("the loss is NaN");
    throw std::runtime_error("out of something");
  }

  const PipelineAction* fails_at_;
  Thrown thrown_;
};

// What each stage ended with: empty where it finished, which it may only before the barrier that follows.
struct Ends {
  std::vector<std::string> messages;
  std::vector<ErrorKind> kinds;
};

Ends run_failing(const PipelineShape& shape, int fails_on, const PipelineAction& fails_at, Thrown thrown) {
  const auto plans = make_pipeline_schedule(shape);
  Ends ends{.messages = std::vector<std::string>(plans.size()), .kinds = std::vector(plans.size(), ErrorKind::kUsage)};
  const auto body = [&](MeshGroups& groups) {
    const auto stage = std::size_t(groups.at.pipeline);
    try {
      FailingStage work(shape, plans[stage], int(stage), int(stage) == fails_on ? &fails_at : nullptr, thrown);
      PipelineRunner(groups, TanhSamples::kMostFloats).run(shape, plans[stage], work);
      groups.job.barrier("end of the step");
    } catch (const Error& error) {
      ends.messages[stage] = error.what();
      ends.kinds[stage] = error.kind();
      throw;
    } catch (const std::exception& error) {
      ends.messages[stage] = error.what();
      throw;
    }
  };
  // A deadline that no test reaches: whoever waits for it is not told of the failure.
  EXPECT_ANY_THROW(run_mesh({.pipeline = shape.stages}, body, 3600));
  return ends;
}

bool is_message(PipelineStep step) { return step > PipelineStep::kBackwardWeight; }

class PipelineFailure : public testing::TestWithParam<PipelineShape> {};

INSTANTIATE_TEST_SUITE_P(Shapes, PipelineFailure,
                         testing::Values(PipelineShape{kGpipe, 2, 1, 5}, PipelineShape{kOneForwardOneBackward, 3, 1, 5},
                                         PipelineShape{kInterleaved, 2, 2, 4}, PipelineShape{kZeroBubble, 3, 1, 5},
                                         PipelineShape{kForwardOnly, 3, 2, 5}));

TEST_P(PipelineFailure, AtAnyStepNamesItAndEndsTheOthersWithCommErrors) {
  const PipelineShape& shape = GetParam();
  const auto plans = make_pipeline_schedule(shape);
  for (int stage = 0; stage < shape.stages; ++stage)
    for (const PipelineAction& action : plans[std::size_t(stage)].actions) {
      if (is_message(action.step)) continue;
      const Ends ends = run_failing(shape, stage, action, Thrown::kError);
      for (int other = 0; other < shape.stages; ++other) {
        const std::string& message = ends.messages[std::size_t(other)];
        if (other == stage) {
          EXPECT_EQ(message, describe_action(stage, action) + ": the loss is NaN");
          EXPECT_EQ(ends.kinds[std::size_t(other)], ErrorKind::kNumeric);
        } else {
          EXPECT_EQ(ends.kinds[std::size_t(other)], ErrorKind::kComm) << message;
          EXPECT_NE(message.find(fmt::format("rank {} failed: ", stage)), std::string::npos) << message;
        }
      }
    }
}

TEST(PipelineFailure, TellsTheOthersTheActionInWhichTheyWaited) {
  const PipelineShape shape{kOneForwardOneBackward, 2, 1, 5};
  const auto plans = make_pipeline_schedule(shape);
  const Ends ends = run_failing(shape, 0, plans[0].actions.front(), Thrown::kError);
  EXPECT_EQ(ends.messages[1].find("stage 1, receiving the activations of micro-batch 0, chunk 0: "), 0U)
      << ends.messages[1];
}

TEST(PipelineFailure, KeepsTheClassOfAnErrorSoThatItCanBeCaught) {
  const PipelineShape shape{kOneForwardOneBackward, 1, 1, 3};
  const auto plans = make_pipeline_schedule(shape);
  run_mesh({}, [&](MeshGroups& groups) {
    FailingStage work(shape, plans[0], 0, &plans[0].actions[1], Thrown::kError);
    EXPECT_THROW(PipelineRunner(groups, 0).run(shape, plans[0], work), NumericError);
  });
}

TEST(PipelineFailure, ThrowsOnUnchangedWhatIsNoErrorOfStoa) {
  const PipelineShape shape{kZeroBubble, 2, 1, 3};
  const auto plans = make_pipeline_schedule(shape);
  const Ends ends = run_failing(shape, 1, plans[1].actions[1], Thrown::kOther);
  EXPECT_EQ(ends.messages[1], "out of something");
  EXPECT_EQ(ends.kinds[0], ErrorKind::kComm);
}

// The sender's micro-batch 0 is longer than the receiver's.
TEST(PipelineFailure, NamesTheActionWhoseMessageHasAnotherLength) {
  class Longer final : public PipelineWork {
   public:
    explicit Longer(std::size_t floats) : floats_(floats) {}
    std::size_t message_floats(int) const override { return floats_; }
    void forward(const PipelineAction&, std::span<const float>, std::span<float>) override {}
    void backward(const PipelineAction&, std::span<const float>, std::span<float>) override {}
    void backward_weight(const PipelineAction&) override {}

   private:
    std::size_t floats_;
  };
  const PipelineShape shape{kForwardOnly, 2, 1, 1};
  const auto plans = make_pipeline_schedule(shape);
  try {
    run_mesh({.pipeline = 2}, [&](MeshGroups& groups) {
      Longer work(groups.first_stage() ? 33 : 32);
      PipelineRunner(groups, 33).run(shape, plans[std::size_t(groups.at.pipeline)], work);
    });
    FAIL();
  } catch (const CommError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find("stage 1, receiving the activations of micro-batch 0, chunk 0: "), 0U) << message;
    EXPECT_NE(message.find("rank 0 sent 132 bytes where 128 were expected"), std::string::npos) << message;
  }
}

}  // namespace
}  // namespace stoa::parallel

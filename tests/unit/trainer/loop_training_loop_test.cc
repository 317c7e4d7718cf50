#include "stoa/trainer/loop/training_loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <map>
#include <mutex>
#include <set>
#include <sstream>

#include "stoa/base/error.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/trainer/loop_run.h"
#include "stoa/trainer/model/parameter_pieces.h"

namespace stoa::trainer {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST_F(LoopThreadRanksTraining, LearnsAndTellsWhatItDid) {
  const std::vector<LoopOutcome> outcomes = attempt(2, "1");
  for (const LoopOutcome& outcome : outcomes) {
    EXPECT_TRUE(outcome.finished);
    EXPECT_EQ(outcome.step, 12);
    EXPECT_EQ(outcome.energy_j, 26) << "a joule a step and one at the end on each of two ranks";
  }
  const std::vector<Json> steps = lines("step"), evaluations = lines("evaluation");
  ASSERT_EQ(steps.size(), 12U);
  EXPECT_EQ(steps[11].at("consumed_tokens"), 12 * 8 * 9);
  ASSERT_EQ(evaluations.size(), 4U) << "at step 0, 5, 10 and 12";
  EXPECT_LT(evaluations[3].at("loss").get<double>(), evaluations[0].at("loss").get<double>() - 0.1);
  ASSERT_EQ(lines("checkpoint").size(), 1U);
  EXPECT_EQ(lines("checkpoint")[0].at("step"), 12);
  EXPECT_TRUE(std::filesystem::exists(run_ / "checkpoints/step-00000012/manifest.json"));
}

TEST_F(LoopThreadRanksTraining, ADeterministicRunGivesTheSameNumbersOnEveryLayoutOfDataRanksAndStages) {
  attempt(1, "1");
  const auto one = numbers();
  ASSERT_EQ(one.size(), 12U * 5 + 4U * 2);
  using parallel::PipelineKind;
  const ParallelSettings layouts[] = {
      {.mesh = {.data = 2}},
      {.mesh = {.data = 4}},
      {.mesh = {.data = 2}, .zero = Zero::kOptimizer},
      {.mesh = {.data = 4}, .zero = Zero::kGradients},
      {.mesh = {.pipeline = 2}},
      {.mesh = {.pipeline = 2}, .schedule = PipelineKind::kZeroBubble},
      {.mesh = {.data = 2, .pipeline = 2}, .schedule = PipelineKind::kInterleaved, .chunks_per_stage = 2},
      {.mesh = {.data = 2, .pipeline = 4}, .schedule = PipelineKind::kGpipe, .zero = Zero::kGradients},
  };
  for (const ParallelSettings& layout : layouts) {
    begin_anew();
    attempt(layout, "1");
    EXPECT_EQ(numbers(), one) << layout.mesh.data << " x " << layout.mesh.pipeline << ", zero " << int(layout.zero);
  }
}

TEST_F(LoopThreadRanksTraining, StopsWhereOneRankIsAskedAndGoesOnWithTheSameNumbersOnOtherRanks) {
  attempt(1, "1");
  const auto uninterrupted = numbers();
  begin_anew();
  stop_after_ = 7;
  for (const LoopOutcome& outcome : attempt(2, "1")) {
    EXPECT_FALSE(outcome.finished);
    EXPECT_EQ(outcome.step, 7);
  }
  stop_after_ = -1;
  const ParallelSettings other{.mesh = {.data = 2, .pipeline = 2}, .zero = Zero::kOptimizer};
  for (const LoopOutcome& outcome : attempt(other, "2")) EXPECT_TRUE(outcome.finished);
  EXPECT_EQ(lines("start").back().at("step"), 7);
  EXPECT_EQ(lines("step").size(), 12U) << "no step was done twice";
  EXPECT_EQ(numbers(), uninterrupted);
}

TEST_F(LoopThreadRanksTraining, ARunThatIsAlreadyFinishedFinishesAgainWithoutAStep) {
  attempt(2, "1");
  EXPECT_TRUE(attempt(1, "2")[0].finished);
  EXPECT_EQ(lines("step").size(), 12U);
}

TEST_F(LoopThreadRanksTraining, KeepsTheLastCheckpointsOnly) {
  settings_.checkpoint = {.every_steps = 3, .keep_last = 2};
  attempt(2, "1");
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(run_ / "checkpoints"))
    names.insert(entry.path().filename());
  EXPECT_EQ(names, (std::set<std::string>{"latest", "step-00000009", "step-00000012"}));
}

TEST_F(LoopThreadRanksTraining, WhatIsNotFiniteIsSkippedAndThenEndsTheRunOnAllRanks) {
  settings_.optimizer.learning_rate = 1e30;
  settings_.parallel.mesh = {.data = 2, .pipeline = 2};
  std::mutex mutex;
  std::vector<std::string> failures;
  parallel::run_thread_ranks(4, kLoopDeadline_s, [&](parallel::Communicator& group) {
    try {
      train(group, "1");
    } catch (const NumericError& failure) {
      const std::lock_guard lock(mutex);
      failures.emplace_back(failure.what());
    }
  });
  ASSERT_EQ(failures.size(), 4U);
  for (const std::string& failure : failures) EXPECT_EQ(failure, failures[0]);
  EXPECT_THAT(failures[0], HasSubstr(": nan (loss nan, gradient norm nan)"));
  EXPECT_THAT(failures[0], HasSubstr("4 steps in a row were not applied and training.spike.most_skips is 3"));
  const std::vector<Json> steps = lines("step");
  ASSERT_GE(steps.size(), 4U);
  const std::span<const Json> last = std::span(steps).last(3);
  for (const Json& step : last) {
    EXPECT_EQ(step.at("skipped"), "nan");
    EXPECT_TRUE(step.at("loss").is_null());
    EXPECT_EQ(step.at("parameter_norm"), last[0].at("parameter_norm")) << "a skipped step changes nothing";
  }
}

TEST_F(LoopThreadRanksTraining, ANanPlantedInAParameterIsNeverTrainedOn) {
  stop_after_ = 2;
  attempt(1, "1");
  stop_after_ = -1;
  plant(std::numeric_limits<float>::quiet_NaN());
  EXPECT_THAT(message_of<NumericError>([&] { attempt(2, "3"); }), HasSubstr("step 7: nan"));
  for (const Json& step : lines("step")) EXPECT_EQ(step.at("skipped"), step.at("attempt") == "3" ? "nan" : "");
}

TEST_F(LoopThreadRanksTraining, ACheckpointOfAnotherRunIsRefusedByWhatDiffers) {
  stop_after_ = 2;
  attempt(1, "1");
  const LoopSettings as_saved = settings_;
  settings_.training.seed = 6;
  EXPECT_THAT(refusal(), HasSubstr("step 2.seed was 5 when this checkpoint was made, and is 6 now"));
  settings_ = as_saved;
  settings_.training.global_batch = 16;
  EXPECT_THAT(refusal(), HasSubstr("step 2.global_batch was 8 when"));
  settings_ = as_saved;
  settings_.training.precision = Precision::kBf16;
  EXPECT_THAT(refusal(), HasSubstr("step 2.precision was \"fp32\" when"));
  settings_ = as_saved;
  data_tokens_ = 778;
  EXPECT_THAT(refusal(), HasSubstr("step 2.data.tokens was 777 when"));
}

TEST_F(LoopThreadRanksTraining, ACheckpointOfAnotherModelIsRefusedByTheTensorThatDiffers) {
  stop_after_ = 2;
  attempt(1, "1");
  settings_.model.feed_forward_width = 19;
  EXPECT_THAT(refusal(), HasSubstr("layers.0.feed_forward"));
}

TEST_F(LoopThreadRanksTraining, BeginsWithTheWeightsOfAnotherRunOnAnyRanksAndNeedsThemOnlyOnce) {
  settings_.training.steps = 4;
  settings_.optimizer.warmup_steps = 1;
  attempt(2, "1");
  const double left_at = lines("evaluation").back().at("loss");
  std::filesystem::rename(run_ / "checkpoints", run_ / "first");
  settings_.training.start_from = run_ / "first" / "step-00000004";
  settings_.training.steps = 12;
  std::map<std::string, Json> one_rank;
  for (const int ranks : {1, 4}) {
    begin_anew();
    attempt(ranks, "1");
    const auto evaluations = lines("evaluation");
    EXPECT_EQ(evaluations.front().at("step"), 0);
    EXPECT_EQ(evaluations.front().at("loss").get<double>(), left_at);
    if (one_rank.empty()) one_rank = numbers();
    EXPECT_EQ(numbers(), one_rank);
  }
  begin_anew();
  stop_after_ = 3;
  attempt(2, "1");
  std::filesystem::remove_all(run_ / "first");
  stop_after_ = -1;
  attempt(1, "2");
  EXPECT_EQ(numbers(), one_rank);
  settings_.training.start_from.clear();
  EXPECT_THAT(refusal(),
              HasSubstr("the run was begun from another checkpoint's weights, but training.start_from is ''"));
}

TEST_F(LoopThreadRanksTraining, WeightsOfAnotherModelAreRefusedByWhatDiffers) {
  settings_.training.steps = 4;
  settings_.optimizer.warmup_steps = 1;
  attempt(1, "1");
  settings_.training.start_from = run_ / "checkpoints" / "step-00000004";
  EXPECT_THAT(refusal(), HasSubstr("the run was not begun from another checkpoint's weights"));
  std::filesystem::rename(run_ / "checkpoints", run_ / "first");
  settings_.training.start_from = run_ / "first" / "step-00000004";
  settings_.model.width = 12;
  settings_.model = resolved(settings_.model);
  EXPECT_THAT(refusal(), HasSubstr("step-00000004.model.width was 10 when"));
  settings_.model.width = 10;
  settings_.training.start_from = run_ / "first" / "step-00000005";
  EXPECT_THAT(refusal(), HasSubstr("step-00000005/manifest.json"));
}

TEST_F(LoopThreadRanksTraining, TheFirstLossAfterAResumptionIsComparedWithTheOneBefore) {
  settings_.checkpoint = {.every_steps = 5, .keep_last = 9};
  attempt(2, "1");
  std::filesystem::remove_all(run_ / "checkpoints/step-00000012");
  const auto heard = [&] {
    char* text = nullptr;
    std::size_t size = 0;
    heard_ = ::open_memstream(&text, &size);
    attempt({.mesh = {.data = 1, .pipeline = 2}}, "2");
    std::fclose(std::exchange(heard_, nullptr));
    const std::string all(text, size);
    std::free(text);
    return all;
  };
  EXPECT_THAT(heard(), HasSubstr("the loss of step 11 is what it was before"));
  // Weights that were never there, in a checkpoint whose checksums are all right.
  for (const char* step : {"step-00000010", "step-00000012"}) std::filesystem::remove_all(run_ / "checkpoints" / step);
  plant(1.5F, 10);
  EXPECT_THAT(heard(), AllOf(HasSubstr("the loss of step 11 is"), HasSubstr("more than rounding explains")));
}

TEST(LoopSteps, MicroBatchesAreSharedEvenly) {
  EXPECT_EQ(micro_batches_per_rank({.global_batch = 24, .micro_batch = 2}, {}), 12);
  EXPECT_EQ(micro_batches_per_rank({.global_batch = 24, .micro_batch = 2}, {.data = 3}), 4);
}

}  // namespace
}  // namespace stoa::trainer

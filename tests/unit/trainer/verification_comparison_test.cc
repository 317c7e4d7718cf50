/// The comparison finds what is wrong: values that were changed, and mistakes planted in ranks that really run.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "stoa/base/error.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/trainer/verification_cases.h"
#include "stoa/trainer/verification/verify_layouts.h"

namespace stoa::trainer {
namespace {

using testing::HasSubstr;

constexpr const char* kWeight = "layers.2.feed_forward.down.weight";

StepSettings on_mesh(StepSettings settings, const parallel::MeshSize& mesh) {
  settings.parallel.mesh = mesh;
  return settings;
}

float largest(const WholeTensor& tensor) {
  float most = 0;
  for (const float value : tensor.values) most = std::max(most, std::abs(value));
  return most;
}

class VerificationComparison : public testing::Test {
 protected:
  std::string fault(const StepSettings& settings) {
    const Comparison found = compare(settings, changed_, one_);
    return found.fault.value_or("");
  }

  StepSettings settings_ = on_mesh(verified_llama(Tied::kNo), {2, 2, 2});
  LayoutRun one_ = run_one_rank(settings_, {});
  LayoutRun changed_ = one_;
};

TEST_F(VerificationComparison, TheSameRunHasNoFault) {
  const Comparison found = compare(settings_, changed_, one_);
  EXPECT_TRUE(found.same_bits);
  EXPECT_EQ(found.gradient.difference, 0);
  EXPECT_EQ(found.fault, std::nullopt);
}

TEST_F(VerificationComparison, OneElementOfOneGradientBeyondRoundingIsNamed) {
  WholeTensor& gradient = changed_.steps[0].gradients[kWeight];
  gradient.values[33] += 0x1p-13F * largest(gradient);
  EXPECT_THAT(fault(settings_), HasSubstr("the gradient of layers.2.feed_forward.down.weight differs by 0.00012"));
}

TEST_F(VerificationComparison, ADifferenceOfRoundingIsNoFaultButNotTheSameBits) {
  WholeTensor& gradient = changed_.steps[0].gradients[kWeight];
  gradient.values[33] += 0x1p-20F * largest(gradient);
  EXPECT_EQ(fault(settings_), "");
  StepSettings promised = on_mesh(settings_, {4, 2, 1});
  EXPECT_EQ(fault(promised), "");
  promised.training.deterministic = true;
  EXPECT_THAT(fault(promised), HasSubstr("bits differ where training.deterministic promises the same ones"));
}

TEST_F(VerificationComparison, NaNIsAFault) {
  changed_.steps[0].gradients[kWeight].values[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(fault(settings_), HasSubstr("layers.2.feed_forward.down.weight differs by inf"));
  changed_ = one_;
  changed_.steps[1].losses.loss = std::numeric_limits<double>::quiet_NaN();
  EXPECT_THAT(fault(settings_), HasSubstr("the loss of step 2 differs by inf"));
}

TEST_F(VerificationComparison, AnElementThatWasNotUpdatedIsNamed) {
  // An element with a clear gradient moves by the learning rate.
  const WholeTensor& gradient = one_.steps[0].gradients[kWeight];
  const auto at = std::max_element(gradient.values.begin(), gradient.values.end()) - gradient.values.begin();
  changed_.steps[0].masters[kWeight].values[std::size_t(at)] += float(settings_.optimizer.learning_rate);
  EXPECT_THAT(fault(settings_), HasSubstr("layers.2.feed_forward.down.weight after one update differs by"));
}

TEST_F(VerificationComparison, LossesAndNormsAreHeldToTheirBounds) {
  changed_.steps[0].losses.loss *= 1 + 1e-5;
  EXPECT_THAT(fault(settings_), HasSubstr("the loss of step 1 differs by 1e-05"));
  changed_ = one_;
  changed_.steps[0].gradient_norm *= 1 + 1e-4;
  EXPECT_THAT(fault(settings_), HasSubstr("the gradient norm of step 1 differs by 0.0001"));
  changed_ = one_;
  changed_.steps[1].losses.loss *= 1 + 1e-5;
  EXPECT_THAT(fault(settings_), HasSubstr("the loss of step 2 differs by 1e-05"));
}

TEST_F(VerificationComparison, AParameterWithoutGradientOnOneRankIsRefused) {
  EXPECT_NO_THROW(require_gradients(one_));
  for (float& value : changed_.steps[0].gradients[kWeight].values) value = 0;
  EXPECT_THROW(require_gradients(changed_), NumericError);
}

TEST(VerificationBounds, AreWideOnlyWhereNarrowSumsAreCut) {
  StepSettings settings = on_mesh(verified_llama(Tied::kNo), {2, 2, 1});
  const double fp32 = bounds_of(settings).gradient;
  settings.training.precision = Precision::kBf16;
  EXPECT_EQ(bounds_of(settings).gradient, fp32);
  settings.parallel.mesh.tensor = 2;
  EXPECT_GT(bounds_of(settings).gradient, 100 * fp32);
  settings.training.deterministic = true;
  EXPECT_FALSE(bounds_of(settings).same_bits);
}

/// Runs the layout with ranks of which each may have settings and samples of its own.
struct RankPlan {
  StepSettings settings;
  std::uint64_t sample_seed = 3;
};

std::string fault_of_planted(const StepSettings& settings, const std::function<RankPlan(int rank)>& plan) {
  LayoutRun run;
  parallel::run_thread_ranks(settings.parallel.mesh.ranks(), kVerificationDeadline_s, [&](parallel::Communicator& job) {
    const RankPlan mine = plan(job.rank());
    StepSettings seeded = settings;
    seeded.training.seed = mine.sample_seed;
    cpu::Queue queue({.threads = 1, .pinned = {}, .isa = cpu::Isa::kPlain});
    LayoutRun here = run_layout(queue, mine.settings, samples_for(seeded, {}), job);
    if (job.rank() == 0) run = std::move(here);
  });
  return compare(settings, run, run_one_rank(settings, {})).fault.value_or("");
}

TEST(VerificationPlanted, WithoutAMistakeThereIsNoFault) {
  const StepSettings settings = on_mesh(verified_gpt2(Tied::kYes), {2, 2, 1});
  EXPECT_EQ(fault_of_planted(settings, [&](int) { return RankPlan{settings}; }), "");
}

TEST(VerificationPlanted, ADataRankThatReadsOtherSamplesIsFound) {
  const StepSettings settings = on_mesh(verified_gpt2(Tied::kYes), {2, 1, 1});
  const auto plan = [&](int rank) { return RankPlan{settings, rank == 1 ? 4U : 3U}; };
  EXPECT_THAT(fault_of_planted(settings, plan), HasSubstr("the gradient of "));
}

TEST(VerificationPlanted, ATensorRankWithAnotherNormIsFound) {
  const StepSettings settings = on_mesh(verified_llama(Tied::kNo), {1, 1, 2});
  const auto plan = [&](int rank) {
    RankPlan mine{settings};
    if (rank == 1) mine.settings.model.norm_epsilon = 1e-2;
    return mine;
  };
  EXPECT_THAT(fault_of_planted(settings, plan), HasSubstr("the gradient of "));
}

TEST(VerificationPlanted, AStageWithoutDropoutIsFound) {
  const StepSettings settings = on_mesh(verified_gpt2(Tied::kNo), {1, 2, 1});
  const auto plan = [&](int rank) {
    RankPlan mine{settings};
    if (rank == 1) mine.settings.model.dropout = 0;
    return mine;
  };
  EXPECT_THAT(fault_of_planted(settings, plan), HasSubstr("the gradient of "));
}

TEST(VerificationPlanted, AnotherLearningRateOfOneStageIsFoundInTheUpdate) {
  const StepSettings settings = on_mesh(verified_llama(Tied::kNo), {1, 2, 1});
  const auto plan = [&](int rank) {
    RankPlan mine{settings};
    if (rank == 1) mine.settings.optimizer.learning_rate *= 1.001;
    return mine;
  };
  EXPECT_THAT(fault_of_planted(settings, plan), HasSubstr(" after one update differs by "));
}

TEST(VerificationPlanted, AnotherSeedOfTheWeightsIsFound) {
  const StepSettings settings = on_mesh(verified_llama(Tied::kNo), {2, 1, 1});
  RankPlan other{settings};
  other.settings.training.seed += 1;
  EXPECT_THAT(fault_of_planted(settings, [&](int) { return other; }), HasSubstr("the gradient of "));
}

TEST(VerificationVerdicts, ALayoutThatCannotRunIsAFaultAndTheOthersGoOn) {
  const StepSettings good = on_mesh(verified_llama(Tied::kYes), {2, 1, 1});
  StepSettings bad = good;
  bad.parallel.schedule = parallel::PipelineKind::kInterleaved;
  bad.parallel.mesh = {1, 3, 1};
  bad.parallel.chunks_per_stage = 2;  // 8 micro-batches are no multiple of 3 stages
  const SyntheticSamples samples = samples_for(good, {});
  const FakeClock clock;
  std::size_t told = 0;
  const auto verdicts = verify_layouts(
      {good, bad, good},
      {.samples = samples, .clock = clock, .isa = cpu::Isa::kPlain, .told = [&](const LayoutVerdict&) { ++told; }});
  ASSERT_EQ(verdicts.size(), 3U);
  EXPECT_EQ(told, 3U);
  EXPECT_EQ(verdicts[0].fault, std::nullopt);
  EXPECT_THAT(verdicts[1].fault.value_or(""), HasSubstr("interleaved"));
  EXPECT_EQ(verdicts[2].fault, std::nullopt);
}

}  // namespace
}  // namespace stoa::trainer

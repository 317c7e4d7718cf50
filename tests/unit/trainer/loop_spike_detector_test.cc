#include "stoa/trainer/loop/spike_detector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

using enum StepVerdict;
using ::testing::HasSubstr;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr SpikeSettings kSettings{.window = 4, .loss_deviations = 3, .norm_deviations = 2, .most_skips = 2};

/// Losses 1, 2, 1, 2 (mean 1.5, deviation 0.5: the limit is 3) and norms 4, 8, 4, 8 (mean 6, deviation 2: it is 10).
SpikeDetector with_full_window(const SpikeSettings& settings = kSettings) {
  SpikeDetector detector(settings);
  for (int step = 1; step <= 4; ++step) detector.judge(step, step % 2 == 0 ? 2 : 1, step % 2 == 0 ? 8 : 4);
  return detector;
}

TEST(LoopSpikeDetector, OnlyValuesBeyondTheDeviationsOfAFullWindowAreSpikes) {
  EXPECT_EQ(with_full_window().judge(5, 3.0, 10.0), kApply);
  EXPECT_EQ(with_full_window().judge(5, 3.001, 5), kLossSpike);
  EXPECT_EQ(with_full_window().judge(5, 1, 10.001), kNormSpike);
  SpikeDetector detector(kSettings);
  for (int step = 1; step <= 3; ++step) EXPECT_EQ(detector.judge(step, 1, 4), kApply);
  EXPECT_EQ(detector.judge(4, 1e6, 1e6), kApply) << "three steps are no full window of four";
}

TEST(LoopSpikeDetector, DeviationsOfZeroTurnTheJudgementOff) {
  SpikeSettings settings = kSettings;
  settings.loss_deviations = settings.norm_deviations = 0;
  EXPECT_EQ(with_full_window(settings).judge(5, 1e30, 1e30), kApply);
}

TEST(LoopSpikeDetector, WhatIsNotFiniteIsNeverApplied) {
  SpikeSettings off = kSettings;
  off.loss_deviations = off.norm_deviations = 0;
  EXPECT_EQ(SpikeDetector(off).judge(1, kNan, 1), kNotFinite);
  EXPECT_EQ(SpikeDetector(off).judge(1, 1, kInfinity), kNotFinite);
}

TEST(LoopSpikeDetector, ASkippedStepDoesNotEnterTheWindow) {
  SpikeDetector detector = with_full_window();
  const Json before = detector.state();
  detector.judge(5, 1000, 5);
  detector.judge(6, kNan, 5);
  EXPECT_EQ(detector.state().at("losses"), before.at("losses"));
  EXPECT_EQ(detector.state().at("norms"), before.at("norms"));
}

TEST(LoopSpikeDetector, OneSkipTooManyInARowIsANumericErrorThatNamesTheStep) {
  SpikeDetector detector = with_full_window();
  detector.judge(5, kNan, 1);
  detector.judge(6, 50, 1);
  try {
    detector.judge(7, 60, 1);
    FAIL() << "the third skip in a row went on";
  } catch (const NumericError& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("step 7: loss spike (loss 60"));
    EXPECT_THAT(failure.what(), HasSubstr("training.spike.most_skips is 2"));
  }
}

TEST(LoopSpikeDetector, AnAppliedStepForgivesTheSkipsBeforeIt) {
  SpikeDetector detector = with_full_window();
  for (int round = 0; round < 5; ++round) {
    EXPECT_EQ(detector.judge(5, kNan, 1), kNotFinite);
    EXPECT_EQ(detector.judge(6, kNan, 1), kNotFinite);
    EXPECT_EQ(detector.judge(7, 1.5, 6), kApply);
  }
}

TEST(LoopSpikeDetector, ARestoredOneGivesTheVerdictsOfTheUninterruptedOne) {
  SpikeDetector going_on = with_full_window();
  going_on.judge(5, 1.0 / 3, 0.1);
  going_on.judge(6, kNan, 1);
  SpikeDetector restored(kSettings);
  restored.restore(parse_json(going_on.state().dump(), "manifest"), "manifest");
  for (int step = 7; step < 40; ++step) {
    const double loss = 1 + (step * 7 % 11) * 0.37, norm = 4 + (step * 5 % 13) * 0.6;
    EXPECT_EQ(restored.judge(step, loss, norm), going_on.judge(step, loss, norm)) << step;
    EXPECT_EQ(restored.state(), going_on.state()) << step;
  }
}

TEST(LoopSpikeDetector, ASmallerWindowThanTheSavedOneForgetsTheOldest) {
  SpikeSettings smaller = kSettings;
  smaller.window = 2;
  SpikeDetector detector(smaller);
  detector.restore(with_full_window().state(), "manifest");
  detector.judge(5, 1.5, 6);
  EXPECT_EQ(detector.state().at("losses"), Json({2, 1.5}));
}

TEST(LoopSpikeDetector, ADamagedStateIsADataErrorWithItsPlace) {
  SpikeDetector detector(kSettings);
  try {
    detector.restore(Json{{"losses", "many"}}, "step-00000007/manifest.json");
    FAIL() << "a state without norms was read";
  } catch (const DataError& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("step-00000007/manifest.json: 'losses'"));
  }
}

}  // namespace
}  // namespace stoa::trainer

#include "stoa/trainer/optimizer/learning_rate.h"

#include <gtest/gtest.h>

#include <cmath>

namespace stoa::trainer {
namespace {

constexpr ScheduleKind kAll[] = {ScheduleKind::kConstant, ScheduleKind::kCosine, ScheduleKind::kLinear,
                                 ScheduleKind::kWarmupStableDecay};

/// Peak 8, floor 2.
OptimizerSettings settings(ScheduleKind schedule, std::int64_t warmup_steps = 4) {
  OptimizerSettings result;
  result.learning_rate = 8;
  result.schedule = schedule;
  result.warmup_steps = warmup_steps;
  result.final_fraction = 0.25;
  result.decay_fraction = 0.25;
  return result;
}

TEST(LoopLearningRate, RisesInALineAndStandsAtThePeakOnTheLastWarmupStep) {
  for (const ScheduleKind schedule : kAll)
    for (const int step : {1, 2, 3, 4}) EXPECT_DOUBLE_EQ(learning_rate(settings(schedule), 33, step), 2.0 * step);
}

TEST(LoopLearningRate, ConstantStays) {
  for (const int step : {5, 20, 33}) EXPECT_DOUBLE_EQ(learning_rate(settings(ScheduleKind::kConstant), 33, step), 8);
}

TEST(LoopLearningRate, CosineIsHalfWayInTheMiddleAndAtTheFloorAtTheEnd) {
  const OptimizerSettings cosine = settings(ScheduleKind::kCosine);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 36, 20), 5);
  EXPECT_NEAR(learning_rate(cosine, 36, 12), 2 + 3 * (1 + std::sqrt(0.5)), 1e-12);
  EXPECT_DOUBLE_EQ(learning_rate(cosine, 36, 36), 2);
}

TEST(LoopLearningRate, LinearFallsByTheSameEachStep) {
  const OptimizerSettings linear = settings(ScheduleKind::kLinear);
  for (int step = 5; step <= 36; ++step) EXPECT_NEAR(learning_rate(linear, 36, step), 8 - 6.0 * (step - 4) / 32, 1e-12);
}

TEST(LoopLearningRate, WarmupStableDecayHoldsThePeakUntilItsLastQuarter) {
  const OptimizerSettings stable = settings(ScheduleKind::kWarmupStableDecay);
  EXPECT_DOUBLE_EQ(learning_rate(stable, 40, 30), 8);
  EXPECT_DOUBLE_EQ(learning_rate(stable, 40, 31), 8 - 0.6);
  EXPECT_DOUBLE_EQ(learning_rate(stable, 40, 40), 2);
}

TEST(LoopLearningRate, WithoutWarmupTheFirstStepIsAlreadyOnTheSchedule) {
  EXPECT_DOUBLE_EQ(learning_rate(settings(ScheduleKind::kConstant, 0), 33, 1), 8);
  EXPECT_DOUBLE_EQ(learning_rate(settings(ScheduleKind::kLinear, 0), 32, 1), 8 - 6.0 / 32);
  EXPECT_DOUBLE_EQ(learning_rate(settings(ScheduleKind::kLinear, 0), 1, 1), 2);
}

TEST(LoopLearningRate, ARunThatIsAllWarmupEndsAtThePeak) {
  for (const ScheduleKind schedule : kAll) {
    EXPECT_DOUBLE_EQ(learning_rate(settings(schedule, 33), 33, 33), 8);
    EXPECT_DOUBLE_EQ(learning_rate(settings(schedule, 33), 33, 11), 8.0 / 3);
    EXPECT_DOUBLE_EQ(learning_rate(settings(schedule, 1), 1, 1), 8);
  }
}

}  // namespace
}  // namespace stoa::trainer

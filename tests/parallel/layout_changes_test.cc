/// A run that changes its layout at every resumption trains as if it had been on one rank all the time: the real
/// programs under the real mpirun.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>

#include "stoa/tests/faults/training_run.h"

namespace stoa::faults {
namespace {

using ::testing::HasSubstr;
using Words = std::vector<std::string>;

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const Words kModel = {"model.layers=4", "training.micro_batch=1"};
const Words kOneRank = {"parallel.data=1"};
constexpr std::int64_t kStepsOfALeg = 3;

class LayoutChanges : public testing::Test {
 protected:
  /// Trains until it has told of some steps, then asks it to stop; the step at which it was saved.
  std::int64_t stopped(const Words& layout) {
    const auto stoa = folder_.start_run("run", kModel + layout + Words{"training.steps=100000"});
    EXPECT_TRUE(wait_until([&] { return folder_.last_step("run") >= 5; }, 30));
    stoa->signal(SIGTERM);
    const CommandEnd end = folder_.finish(*stoa);
    EXPECT_EQ(end.process.exit_code, kExitSaved) << end.err;
    return folder_.last_step("run");
  }

  /// Resumes on each of the layouts for some steps more; the step at which the last one ended.
  std::int64_t resumed(std::int64_t step, const std::vector<Words>& layouts) {
    for (const Words& layout : layouts) {
      const std::string resumes = fmt::format("resumed from step {}", step);
      step += kStepsOfALeg;
      const CommandEnd end = folder_.run("run", kModel + layout + Words{fmt::format("training.steps={}", step)});
      EXPECT_EQ(end.process.exit_code, kExitFinished) << end.err;
      EXPECT_THAT(end.err, HasSubstr(resumes));
    }
    return step;
  }

  Curve on_one_rank(std::int64_t steps) {
    return folder_.curve("one", kModel + kOneRank + Words{fmt::format("training.steps={}", steps)});
  }

  /// Without the evaluations that followed the last step of a leg.
  static Curve evaluated_as(const Curve& other, Curve curve) {
    std::erase_if(curve.evaluations, [&](const auto& each) { return !other.evaluations.contains(each.first); });
    return curve;
  }

  CommandEnd stoa(const std::string& command, const Words& more) {
    return folder_.command(Words{STOA_PROGRAM, command, folder_.run_directory("run") / "spec.yaml"} + more);
  }

  TrainingFolder folder_;
};

TEST_F(LayoutChanges, OfDataRanksStagesSchedulesAndZeroKeepEveryBit) {
  const std::int64_t stop = stopped({"parallel.data=2", "parallel.pipeline=2"});
  const std::int64_t steps = resumed(
      stop, {{"parallel.data=2", "parallel.zero=2"},
             {"parallel.data=1", "parallel.pipeline=2", "parallel.schedule=interleaved", "parallel.chunks_per_stage=2"},
             {"parallel.data=4", "parallel.zero=1"},
             {"parallel.data=1", "parallel.pipeline=4", "parallel.schedule=zero_bubble"},
             {"parallel.data=2", "parallel.pipeline=2", "parallel.schedule=gpipe", "parallel.zero=1"}});
  const Curve one = on_one_rank(steps);
  EXPECT_EQ(first_difference(one, evaluated_as(one, read_curve(folder_.run_directory("run")))), "");
}

/// On the tensor axis sums are taken in another order. A loss is the mean of 264 numbers near 5 whose rounding errors
/// are about 1e-7 of them; AdamW, which divides each gradient by its own size, makes more of it from step to step: a
/// thousand times that covers the hundred steps or so of this run.
TEST_F(LayoutChanges, OfTensorRanksKeepLossesWithinRoundingAndEveryCommandReadsTheResult) {
  const std::int64_t stop = stopped({"parallel.data=1", "parallel.tensor=2", "parallel.pipeline=2"});
  const std::int64_t steps =
      resumed(stop, {{"parallel.data=2", "parallel.tensor=2", "parallel.zero=1"},
                     kOneRank,
                     {"parallel.data=2", "parallel.tensor=2", "parallel.pipeline=2", "parallel.zero=2"}});
  const Curve one = on_one_rank(steps);
  const Curve run = read_curve(folder_.run_directory("run"));
  ASSERT_EQ(run.steps.size(), one.steps.size());
  for (const auto& [step, values] : one.steps)
    EXPECT_NEAR(run.steps.at(step)[0], values[0], 1e-4 * values[0]) << "step " << step;

  const CommandEnd evaluated = stoa("eval", {"--text", folder_.path() / "text.txt", "--threads", "1"});
  EXPECT_EQ(evaluated.process.exit_code, kExitFinished) << evaluated.err;
  const CommandEnd sampled = stoa("sample", {"--prompt", "the", "--tokens", "5", "--threads", "1"});
  EXPECT_EQ(sampled.process.exit_code, kExitFinished) << sampled.err;
  const CommandEnd exported = stoa("export", {"--to", "huggingface", "--out", folder_.path() / "exported"});
  EXPECT_EQ(exported.process.exit_code, kExitFinished) << exported.err;
  const CommandEnd reported = folder_.command({STOA_PROGRAM, "report", folder_.run_directory("run")});
  EXPECT_EQ(reported.process.exit_code, kExitFinished) << reported.err;
  EXPECT_THAT(reported.out, HasSubstr("data 2 x pipeline 2 x tensor 2, zero 2"));
  EXPECT_TRUE(folder_.nothing_is_running());
}

}  // namespace
}  // namespace stoa::faults

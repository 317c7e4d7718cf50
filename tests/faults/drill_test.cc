/// `stoa drill` and `stoa run --limit` with the real programs: the chain of jobs on one machine.
#include <gmock/gmock.h>

#include "stoa/tests/faults/training_run.h"

namespace stoa::faults {
namespace {

using testing::HasSubstr;

struct Case {
  const char* fault;
  const char* told;
};
class DrillTest : public testing::TestWithParam<Case> {};

TEST_P(DrillTest, GoesThroughTheFaultWithTheSameBits) {
  TrainingFolder folder;
  const CommandEnd end =
      folder.command({STOA_PROGRAM, "drill", GetParam().fault, folder.experiment().string(), "--steps", "48"});
  EXPECT_EQ(end.process.exit_code, 0) << end.out << end.err;
  EXPECT_THAT(end.out, HasSubstr(GetParam().told));
  EXPECT_THAT(end.out, HasSubstr("training again after"));
  EXPECT_THAT(end.out, HasSubstr("the losses of all 48 steps are the same, bit for bit"));
  EXPECT_TRUE(folder.nothing_is_running());
}

INSTANTIATE_TEST_SUITE_P(Faults, DrillTest,
                         testing::Values(Case{"preempt", ", cause: preemption"}, Case{"timeout", ", cause: time limit"},
                                         Case{"node-loss", "cause: node failure"}),
                         [](const auto& each) { return std::string(each.param.fault).substr(0, 4); });

TEST(RunLimit, IsAChainOfJobsOnThisMachine) {
  TrainingFolder folder;
  const CommandEnd end =
      folder.command(folder.run_words("chain", {"training.steps=500", "--limit", "3", "--warning", "2"}));
  EXPECT_EQ(end.process.exit_code, 0) << end.err;
  EXPECT_THAT(end.err, HasSubstr("time limit: saved at step"));
  EXPECT_THAT(end.err, HasSubstr("the next job goes on"));
  const CommandEnd wrong = folder.command(folder.run_words("wrong", {"--limit", "2", "--warning", "5"}));
  EXPECT_EQ(wrong.process.exit_code, 2);
}

}  // namespace
}  // namespace stoa::faults

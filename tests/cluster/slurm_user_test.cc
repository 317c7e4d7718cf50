/// What people ask of a run, with Stoa's commands and with Slurm's own.
#include <gmock/gmock.h>

#include "stoa/tests/cluster/slurm_world.h"

namespace stoa::cluster_tests {
namespace {

using cluster::AttemptOutcome;
using cluster::EndCause;
using cluster::RunPhase;
using testing::HasSubstr;
using testing::Not;

const Words kLong = {"training.steps=100000", "parallel.data=2"};

TEST_F(SlurmWorld, PauseSavesResumeGoesOnAndCancelEnds) {
  const std::string job = submit("asked", kLong);
  const CommandResult second = stoa({"submit", "exp.yaml", "name=asked"});
  EXPECT_EQ(second.end.exit_code, 2);
  EXPECT_THAT(second.error_output, HasSubstr("job " + job + " of this run is"));
  ASSERT_TRUE(reaches_step("asked", 20)) << story("asked");
  EXPECT_THAT(stoa({"status"}).output, HasSubstr("running"));
  EXPECT_EQ(stoa(Words{"run", "exp.yaml", "name=asked"} + kLong).end.exit_code, 2);  // not beside the job

  EXPECT_THAT(stoa({"pause", "asked"}).output, HasSubstr("asked to save and stop"));
  ASSERT_TRUE(reaches("asked", RunPhase::kPaused, 30)) << story("asked");
  const cluster::RunState paused = state("asked");
  EXPECT_EQ(paused.attempts[0].ended->outcome, AttemptOutcome::kSaved);
  EXPECT_EQ(paused.attempts[0].ended->cause, EndCause::kPause);
  EXPECT_GE(paused.attempts[0].ended->checkpoint_step, 20);
  EXPECT_TRUE(wait_until([&] { return squeue(job, "%T") == "COMPLETED"; }, 20)) << squeue(job, "%T");

  EXPECT_TRUE(stoa({"resume", "asked"}).is_good());
  ASSERT_TRUE(has_attempts("asked", 2, 30)) << story("asked");
  ASSERT_TRUE(trains_again("asked", 30)) << story("asked");
  EXPECT_THAT(log("asked"), HasSubstr("resumed from step"));
  EXPECT_THAT(stoa({"logs", "asked", "-n", "3"}).output, Not(testing::IsEmpty()));
  EXPECT_TRUE(stoa({"cancel", "asked"}).is_good());
  const CommandResult followed = stoa({"logs", "-f", "asked"});  // ends with the run
  EXPECT_THAT(followed.output, HasSubstr("cancelled at step"));
  EXPECT_EQ(state("asked").phase, RunPhase::kCancelled);
  EXPECT_EQ(state("asked").attempts[1].ended->cause, EndCause::kCancel);
  EXPECT_THAT(stoa({"history", "asked"}).output, HasSubstr("alice asks to cancel"));
}

TEST_F(SlurmWorld, AWaitingJobIsPausedAndCancelledInTheQueue) {
  const std::string job = submit("waits", kLong + Words{"cluster.begin=now+1hour"});
  EXPECT_THAT(stoa({"status", "waits"}).output, HasSubstr("waiting: BeginTime"));
  EXPECT_THAT(stoa({"pause", "waits"}).output, HasSubstr("paused"));
  EXPECT_EQ(state("waits").phase, RunPhase::kPaused);
  EXPECT_EQ(squeue(job, "%T"), "CANCELLED");
  EXPECT_TRUE(stoa({"resume", "waits"}).is_good());
  EXPECT_THAT(stoa({"cancel", "waits"}).output, HasSubstr("cancelled"));
  EXPECT_EQ(state("waits").phase, RunPhase::kCancelled);
}

TEST_F(SlurmWorld, ARunWhoseSupervisorWasKilledIsSeenAsLostAndResumed) {
  const std::string job = submit("orphan", kLong + Words{"checkpoint.every_steps=20"});
  ASSERT_TRUE(reaches_step("orphan", 50)) << story("orphan");
  as("root", {"pkill", "-KILL", "-x", "stoa"}, state("orphan").attempts[0].started.host);
  ASSERT_TRUE(wait_until([&] { return squeue(job, "%T") == "FAILED"; }, 30)) << squeue(job, "%T");
  EXPECT_THAT(stoa({"status", "orphan"}).output, HasSubstr("lost: job " + job + " FAILED"));
  EXPECT_TRUE(stoa({"resume", "orphan"}).is_good());
  ASSERT_TRUE(has_attempts("orphan", 2, 30)) << story("orphan");
  ASSERT_TRUE(trains_again("orphan", 30)) << story("orphan");
  EXPECT_EQ(state("orphan").attempts[0].ended->outcome, AttemptOutcome::kLost);
}

TEST_F(SlurmWorld, ScancelIsACancelAndNothingGoesOn) {
  const std::string job = submit("scancelled", kLong);
  ASSERT_TRUE(reaches_step("scancelled", 20)) << story("scancelled");
  as("alice", {"scancel", job});
  ASSERT_TRUE(reaches("scancelled", RunPhase::kCancelled, 30)) << story("scancelled");
  EXPECT_EQ(state("scancelled").attempts[0].ended->cause, EndCause::kCancel) << story("scancelled");
}

TEST_F(SlurmWorld, ARequeueByAnOperatorIsRecordedAndTheRunGoesOn) {
  const std::string job = submit("requeued", kLong + Words{"checkpoint.every_steps=20"});
  ASSERT_TRUE(reaches_step("requeued", 50)) << story("requeued");
  as("root", {"scontrol", "requeue", job});
  ASSERT_TRUE(has_attempts("requeued", 2, 60)) << story("requeued");
  ASSERT_TRUE(trains_again("requeued", 30)) << story("requeued");
  EXPECT_EQ(state("requeued").attempts[0].ended->cause, EndCause::kRequeue) << story("requeued");
  EXPECT_EQ(state("requeued").attempts[1].started.restart, 1);
}

TEST_F(SlurmWorld, ASwitchFileOfAnyMemberSavesAndHolds) {
  submit("switched", kLong);
  ASSERT_TRUE(reaches_step("switched", 20)) << story("switched");
  as("root", {"touch", (run("switched") / "stop").string()});
  ASSERT_TRUE(reaches("switched", RunPhase::kHeld, 30)) << story("switched");
  EXPECT_EQ(state("switched").attempts[0].ended->cause, EndCause::kSwitchFile);
  EXPECT_THAT(log("switched"), HasSubstr("made by root"));
  EXPECT_TRUE(stoa({"resume", "switched"}).is_good());
  ASSERT_TRUE(has_attempts("switched", 2, 30)) << story("switched");
}

TEST_F(SlurmWorld, WhereTheSiteForbidsRequeuesASuccessorGoesOn) {
  const std::string job = submit("chained", kLong + Words{"cluster.continue_by=successor", "cluster.time_limit=1",
                                                          "cluster.warning_s=50", "cluster.begin=now"});
  ASSERT_TRUE(has_attempts("chained", 2, 90)) << story("chained");
  ASSERT_TRUE(trains_again("chained", 30)) << story("chained");
  const cluster::RunState life = state("chained");
  EXPECT_EQ(life.attempts[0].ended->cause, EndCause::kTimeLimit);
  EXPECT_NE(life.attempts[1].started.job, job);
  EXPECT_EQ(life.job->how, cluster::SubmitWay::kSuccessor);
}

TEST_F(SlurmWorld, AnAllocationThatIsUsedUpShowsInTheStatus) {
  as("root", {"sacctmgr", "-i", "modify", "account", "proja", "set", "GrpTRESMins=cpu=1"});
  submit("poor", kLong);
  EXPECT_TRUE(wait_until(
      [&] {
        return stoa({"status", "poor"}).output.find("out of budget") != std::string::npos;
      },
      20))
      << stoa({"status", "poor"}).output;
  as("root", {"sacctmgr", "-i", "modify", "account", "proja", "set", "GrpTRESMins=cpu=-1"});
  ASSERT_TRUE(has_attempts("poor", 1, 40)) << story("poor");
}

}  // namespace
}  // namespace stoa::cluster_tests

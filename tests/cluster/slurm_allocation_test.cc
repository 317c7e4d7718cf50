/// What goes wrong inside a job and is mended there: ranks that die or hang, nodes that are lost.
#include <gmock/gmock.h>

#include "stoa/tests/cluster/slurm_world.h"

namespace stoa::cluster_tests {
namespace {

using cluster::AttemptOutcome;
using cluster::EndCause;
using cluster::RunPhase;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

const Words kLong = {"training.steps=100000", "checkpoint.every_steps=50"};

double time_of_first_step(const fs::path& run, const std::string& attempt) {
  std::ifstream file(run / "metrics.jsonl");
  for (std::string text; std::getline(file, text);) {
    const Json line = Json::parse(text, nullptr, false);
    if (line.is_object() && line.at("kind") == "step" && line.at("attempt") == attempt) return line.at("time");
  }
  return 0;
}

TEST_F(SlurmWorld, AKilledRankIsTrainingAgainInsideTheAllocationInTenSeconds) {
  submit("killed", kLong + Words{"parallel.data=2"});
  ASSERT_TRUE(reaches_step("killed", 120)) << story("killed");
  const std::string host = state("killed").attempts[0].started.nodes[1];
  const double killed_s = now_s();
  signal_ranks(host, "KILL");
  ASSERT_TRUE(has_attempts("killed", 2, 30)) << story("killed");
  ASSERT_TRUE(trains_again("killed", 30)) << story("killed");
  const cluster::RunState life = state("killed");
  EXPECT_EQ(life.attempts[0].ended->cause, EndCause::kRankLost) << story("killed");
  EXPECT_EQ(life.attempts[1].started.job, life.attempts[0].started.job);
  EXPECT_EQ(life.attempts[1].started.restart, 0);
  const double again_s = time_of_first_step(run("killed"), life.attempts[1].started.attempt) - killed_s;
  RecordProperty("seconds_to_training_again", fmt::format("{:.1f}", again_s));
  fmt::print("rank killed to training again: {:.1f} s, load included\n", again_s);
  EXPECT_LT(again_s, 10 + 5) << story("killed");
}

TEST_F(SlurmWorld, AHungRankIsFoundWithinThreeMediansAndFiveSecondsAndNamed) {
  submit("hung", kLong + Words{"parallel.data=2"});
  ASSERT_TRUE(reaches_step("hung", 120)) << story("hung");
  const std::string host = state("hung").attempts[0].started.nodes[1];
  const double stopped_s = now_s();
  signal_ranks(host, "STOP");
  ASSERT_TRUE(has_attempts("hung", 2, 30)) << story("hung");
  const cluster::RunState life = state("hung");
  const double found_s = life.attempts[0].ended->time - stopped_s;
  RecordProperty("seconds_to_find", fmt::format("{:.1f}", found_s));
  fmt::print("rank frozen to attempt ended: {:.1f} s\n", found_s);
  EXPECT_LT(found_s, 3 * 0.1 + 5 + 1) << story("hung");  // a step takes less than 0.1 s; a second to kill the others
  EXPECT_EQ(life.attempts[0].ended->cause, EndCause::kHang);
  EXPECT_THAT(life.attempts[0].ended->message, HasSubstr("rank 1 on " + host + " is silent while 1 others wait"));
  EXPECT_THAT(life.attempts[0].ended->message, HasSubstr("waits for all_reduce"));
  ASSERT_TRUE(trains_again("hung", 30)) << story("hung");
}

TEST_F(SlurmWorld, ASpareNodeTakesThePlaceOfALostOneWithTheSameLayout) {
  submit("spare", kLong + Words{"parallel.data=2", "cluster.spare_nodes=1"});
  ASSERT_TRUE(reaches_step("spare", 120)) << story("spare");
  const cluster::AttemptStarted first = state("spare").attempts[0].started;
  ASSERT_EQ(first.nodes.size(), 2U);
  on_machine({STOA_SLURM_CLUSTER, "kill", first.nodes[1]});
  ASSERT_TRUE(wait_until(
      [&] {
        ::usleep(100'000);
        const auto life = state("spare");
        return life.attempts.size() > 1 && trains_in("spare", life.attempts.back().started.attempt);
      },
      60))
      << story("spare");
  const cluster::AttemptStarted last = state("spare").attempts.back().started;
  EXPECT_EQ(last.layout, first.layout);
  EXPECT_EQ(last.nodes.size(), 2U);
  EXPECT_THAT(last.nodes, Not(testing::Contains(first.nodes[1]))) << story("spare");
  EXPECT_EQ(last.job, first.job);
  on_machine({STOA_SLURM_CLUSTER, "start", first.nodes[1]});
}

TEST_F(SlurmWorld, WhenTheBatchNodeDiesSlurmRequeuesAndTheRecordSaysWhy) {
  submit("batch", kLong + Words{"parallel.data=2"});
  ASSERT_TRUE(reaches_step("batch", 120)) << story("batch");
  const cluster::AttemptStarted first = state("batch").attempts[0].started;
  on_machine({STOA_SLURM_CLUSTER, "kill", first.nodes[0]});
  ASSERT_TRUE(has_attempts("batch", 2, 90)) << story("batch");
  ASSERT_TRUE(trains_again("batch", 30)) << story("batch");
  const cluster::RunState life = state("batch");
  EXPECT_EQ(life.attempts[0].ended->outcome, AttemptOutcome::kLost);
  EXPECT_EQ(life.attempts[0].ended->cause, EndCause::kNodeFailure) << story("batch");
  EXPECT_EQ(life.attempts[1].started.job, first.job);
  EXPECT_EQ(life.attempts[1].started.restart, 1);
  EXPECT_THAT(life.attempts[1].started.nodes, Not(testing::Contains(first.nodes[0])));
  on_machine({STOA_SLURM_CLUSTER, "start", first.nodes[0]});
}

TEST_F(SlurmWorld, ABadNodeIsFoundBeforeTheStartNamedAndLeftOut) {
  as("root", {"mount", "-t", "tmpfs", "-o", "ro,size=1m", "bad", "/tmp"}, "node3");
  submit("checked", kLong);
  ASSERT_TRUE(has_attempts("checked", 1, 60)) << story("checked");
  ASSERT_TRUE(trains_again("checked", 30)) << story("checked");
  as("root", {"umount", "/tmp"}, "node3");
  const cluster::RunState life = state("checked");
  ASSERT_EQ(life.excluded.size(), 1U) << story("checked");
  EXPECT_EQ(life.excluded[0].node, "node3");
  EXPECT_THAT(life.excluded[0].reason, HasSubstr("/tmp/.stoa-check-node3"));
  EXPECT_THAT(life.excluded[0].reason, HasSubstr("Read-only file system"));
  EXPECT_THAT(life.attempts[0].started.nodes, Not(testing::Contains("node3")));
}

TEST_F(SlurmWorld, RanksOfEachNodeTakeTheirOwnGpusAndABroadcastProgram) {
  const std::string job = submit("bound", {"training.steps=40", "cluster.tasks_per_node=2", "cluster.gpus_per_node=2",
                                           "cluster.cpus_per_task=1", "cluster.program=broadcast"});
  ASSERT_TRUE(reaches("bound", RunPhase::kFinished, 60)) << story("bound");
  const std::string text = log("bound");
  const cluster::AttemptStarted started = state("bound").attempts[0].started;
  ASSERT_EQ(started.nodes.size(), 2U);
  for (int rank = 0; rank < 4; ++rank)
    EXPECT_THAT(text, HasSubstr(fmt::format("rank {} on {}: local rank {} of 2, ", rank,
                                            started.nodes[std::size_t(rank) / 2], rank % 2)));
  EXPECT_THAT(text, HasSubstr(", GPU 0"));
  EXPECT_THAT(text, HasSubstr(", GPU 1"));
  EXPECT_TRUE(wait_until(
      [&] {
        const auto row = as("root", {"sacct", "-n", "-X", "-P", "-j", job, "-o", "AllocTRES"});
        return row.output.find("gres/gpu=4") != std::string::npos;
      },
      20));
  EXPECT_EQ(as("root", {"find", "/tmp", "-name", "stoa-train*"}, started.nodes[1]).output, "");
}

TEST_F(SlurmWorld, FailureAfterFailureHoldsTheRunInsteadOfBurningTheAllocation) {
  submit("burning", kLong + Words{"parallel.data=2", "checkpoint.every_steps=0"});
  for (std::size_t attempt = 1; attempt <= 3; ++attempt) {
    ASSERT_TRUE(has_attempts("burning", attempt, 40)) << story("burning");
    ASSERT_TRUE(trains_again("burning", 30)) << story("burning");
    signal_ranks(state("burning").attempts.back().started.nodes[1], "KILL");
  }
  ASSERT_TRUE(reaches("burning", RunPhase::kHeld, 40)) << story("burning");
  EXPECT_EQ(state("burning").attempts.size(), 3U);
  EXPECT_THAT(state("burning").reason, HasSubstr("3 attempts in a row failed without a newer checkpoint: rank 1"));
  EXPECT_THAT(stoa({"status", run("burning").string()}).output, HasSubstr("held: 3 attempts in a row"));
  EXPECT_TRUE(wait_until([&] { return squeue(state("burning").job->job, "%T") != "RUNNING"; }, 20));
}

TEST_F(SlurmWorld, AnErrorThatWouldRepeatHoldsTheRunAtOnce) {
  submit("wrong", kLong);
  ASSERT_TRUE(reaches_step("wrong", 20)) << story("wrong");
  stoa({"pause", run("wrong").string()});
  ASSERT_TRUE(reaches("wrong", RunPhase::kPaused)) << story("wrong");
  fs::resize_file(folder_ / "data/corpus.bin", 1000);
  EXPECT_TRUE(stoa({"resume", run("wrong").string()}).is_good());
  ASSERT_TRUE(reaches("wrong", RunPhase::kHeld, 40)) << story("wrong");
  EXPECT_EQ(state("wrong").attempts.back().ended->cause, EndCause::kError);
  EXPECT_THAT(state("wrong").reason, HasSubstr("another would meet the same"));
  EXPECT_THAT(state("wrong").reason, HasSubstr("corpus"));
}

}  // namespace
}  // namespace stoa::cluster_tests

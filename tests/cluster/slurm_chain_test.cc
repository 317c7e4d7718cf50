/// The life of a run on four nodes: time limits, a dead node, a job of higher priority, and no bit is lost.
#include <gmock/gmock.h>

#include "stoa/tests/cluster/slurm_world.h"

namespace stoa::cluster_tests {
namespace {

using cluster::EndCause;
using cluster::RunPhase;
using testing::HasSubstr;

std::vector<EndCause> causes(const cluster::RunState& state) {
  std::vector<EndCause> found;
  for (const cluster::Attempt& attempt : state.attempts)
    found.push_back(attempt.ended ? attempt.ended->cause : EndCause::kUnknown);
  return found;
}

TEST_F(SlurmWorld, ALifeOfLimitsALostNodeAndPreemptionHasTheLossesOfAnUninterruptedOne) {
  const Words shape = {"training.steps=3000", "checkpoint.every_steps=200"};
  submit("whole", shape);
  ASSERT_TRUE(reaches("whole", RunPhase::kFinished, 120)) << story("whole");

  // A minute is the shortest limit; the supervisor saves 42 s before it.
  const std::string job =
      submit("torn", shape + Words{"cluster.time_limit=1", "cluster.warning_s=42", "cluster.qos=low"});
  ASSERT_TRUE(has_attempts("torn", 2, 90)) << story("torn");
  ASSERT_TRUE(reaches("torn", RunPhase::kQueued, 60)) << story("torn");
  as("root", {"scontrol", "update", "JobId=" + job, "TimeLimit=10"});
  ASSERT_TRUE(has_attempts("torn", 3, 60)) << story("torn");
  ASSERT_TRUE(trains_again("torn", 30)) << story("torn");
  on_machine({STOA_SLURM_CLUSTER, "kill", "node4"});
  ASSERT_TRUE(has_attempts("torn", 4, 60)) << story("torn");
  ASSERT_TRUE(trains_again("torn", 30)) << story("torn");
  on_machine({STOA_SLURM_CLUSTER, "start", "node4"});
  on_machine({STOA_SLURM_CLUSTER, "resume"});

  const std::size_t before = state("torn").attempts.size();
  const auto high = as(
      "bob", {"sbatch", "--parsable", "--qos=high", "-N4", "--exclusive", "-t1", "-o", "/dev/null", "--wrap=sleep 1"});
  ASSERT_TRUE(high.is_good()) << high.error_output;
  ASSERT_TRUE(has_attempts("torn", before + 1, 90)) << story("torn");
  ASSERT_TRUE(reaches("torn", RunPhase::kFinished, 240)) << story("torn");

  const cluster::RunState life = state("torn");
  const auto why = causes(life);
  EXPECT_EQ(why[0], EndCause::kTimeLimit) << story("torn");
  EXPECT_EQ(why[1], EndCause::kTimeLimit);
  EXPECT_THAT(why, testing::Contains(EndCause::kPreemption)) << story("torn");
  EXPECT_THAT(why, testing::Contains(testing::AnyOf(EndCause::kNodeFailure, EndCause::kRankLost, EndCause::kHang)));
  EXPECT_EQ(faults::first_difference(faults::read_curve(run("whole")), faults::read_curve(run("torn"))), "")
      << story("torn");

  // Each attempt lies in a row of sacct's of its own job, and no row that ran is without an attempt.
  Json history;
  ASSERT_TRUE(wait_until(
      [&] {
        history = Json::parse(stoa({"history", run("torn").string(), "--format", "json"}).output, nullptr, false);
        if (!history.is_object()) return false;
        // Not always the last row: a job that was made smaller and then requeued ends in an older one.
        return std::any_of(history["accounts"].begin(), history["accounts"].end(),
                           [](const Json& row) { return row["state"] == "COMPLETED"; });
      },
      30))
      << story("torn");
  std::vector<int> attempts_of_row(history["accounts"].size(), 0);
  for (const cluster::Attempt& attempt : life.attempts) {
    bool found = false;
    for (std::size_t i = 0; i < attempts_of_row.size() && !found; ++i) {
      const Json& row = history["accounts"][i];
      // sacct's times are whole seconds.
      found = row["job"] == attempt.started.job && row["start"].get<double>() <= attempt.started.time + 1 &&
              attempt.started.time <= row["end"].get<double>() + 1;
      if (found) ++attempts_of_row[i];
    }
    EXPECT_TRUE(found) << attempt.started.attempt << "\n" << story("torn");
  }
  for (std::size_t i = 0; i < attempts_of_row.size(); ++i) {
    const Json& row = history["accounts"][i];
    // A job that lost a node goes on as a smaller one: the attempt that began before it runs over into that row.
    const bool shrunk = i > 0 && history["accounts"][i - 1]["state"] == "RESIZING";
    if (row["start"].get<double>() <= 0 || shrunk) continue;
    EXPECT_GT(attempts_of_row[i], 0) << row << story("torn");
  }
  EXPECT_EQ(life.job->job, job);
}

}  // namespace
}  // namespace stoa::cluster_tests

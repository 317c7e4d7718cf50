#include "stoa/launcher/rank_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/launcher/node_check.h"

namespace stoa::launcher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using trainer::LoopPhase;

constexpr int kRanks = 3;

/// Three ranks on two nodes that make a step each two seconds.
class WatchTest : public testing::Test {
 protected:
  WatchTest() {
    for (int rank = 0; rank < kRanks; ++rank)
      watch_.greet({.rank = rank, .attempt = "1", .host = rank < 2 ? "node1" : "node2", .build = "b"}, now_);
  }
  void beat(int rank, LoopPhase phase, const std::string& waiting = "") {
    watch_.hear(rank, {.phase = phase, .step = step_, .changes = changes_, .step_s = 2, .waiting = waiting}, now_);
  }
  void make_steps(int count) {
    for (int i = 0; i < count; ++i) {
      now_ += 2;
      ++step_;
      ++changes_;
      for (int rank = 0; rank < kRanks; ++rank) beat(rank, LoopPhase::kTraining);
    }
  }

  double now_ = 1000;
  std::int64_t step_ = 0;
  std::uint64_t changes_ = 0;
  RankWatch watch_{kRanks, {.steps = 3, .slack_s = 3, .silence_s = 4, .patience_s = 900}, 1000};
};

TEST_F(WatchTest, AHangIsThreeMediansAndTheSlackWithoutAnyChange) {
  make_steps(5);
  EXPECT_EQ(watch_.median_step_s(), 2);
  const double still_since = now_;
  for (; now_ <= still_since + 9; now_ += 1) {
    beat(0, LoopPhase::kTraining, "all_reduce gradients");
    beat(1, LoopPhase::kTraining, "all_reduce gradients");
    EXPECT_FALSE(watch_.hang(now_)) << now_ - still_since;
  }
  now_ = still_since + 9.5;
  const auto hang = watch_.hang(now_);
  ASSERT_TRUE(hang);
  EXPECT_THAT(hang->culprits, ElementsAre(2));
  EXPECT_EQ(hang->summary, "rank 2 on node2 is silent while 2 others wait");
  EXPECT_THAT(hang->text, HasSubstr("rank 0 on node1: training, step 5, waits for all_reduce gradients"));
}

TEST_F(WatchTest, ARankThatWorksWhileTheOthersWaitIsTheCulprit) {
  make_steps(5);
  for (int i = 0; i < 10; ++i) {
    now_ += 1;
    beat(0, LoopPhase::kTraining, "x");
    beat(1, LoopPhase::kTraining);
    beat(2, LoopPhase::kTraining, "x");
  }
  const auto hang = watch_.hang(now_);
  ASSERT_TRUE(hang);
  EXPECT_THAT(hang->culprits, ElementsAre(1));
  EXPECT_THAT(hang->summary, HasSubstr("is in no collective while 2 others wait"));
}

TEST_F(WatchTest, ASlowStepInWhichSomethingChangesIsNoHang) {
  make_steps(5);
  for (int i = 0; i < 60; ++i) {
    now_ += 1;
    changes_ += i % 5 == 0 ? 1 : 0;
    for (int rank = 0; rank < kRanks; ++rank) beat(rank, LoopPhase::kTraining, "x");
    EXPECT_FALSE(watch_.hang(now_));
  }
}

TEST_F(WatchTest, LoadingAndEvaluatingHavePatience) {
  EXPECT_FALSE(watch_.hang(now_ + 899));  // no step yet
  EXPECT_TRUE(watch_.hang(now_ + 901));
  make_steps(5);
  for (int rank = 0; rank < kRanks; ++rank) beat(rank, LoopPhase::kEvaluating);
  EXPECT_FALSE(watch_.hang(now_ + 100));
}

TEST_F(WatchTest, ADeadlineThatPassesAboutAsSoonIsWaitedFor) {
  RankWatch watch(1, {.steps = 3, .slack_s = 3, .deadline_s = 10}, 0);
  watch.greet({.rank = 0}, 0);
  for (int step = 1; step <= 5; ++step)
    watch.hear(0, {.phase = LoopPhase::kTraining, .step = step, .changes = std::uint64_t(step), .step_s = 2}, step);
  EXPECT_FALSE(watch.hang(5 + 12.9));
  EXPECT_TRUE(watch.hang(5 + 13.1));
}

TEST_F(WatchTest, TwoBuildsAreNamedWithTheirNodes) {
  EXPECT_FALSE(watch_.build_defect());
  watch_.greet({.rank = 2, .attempt = "1", .host = "node2", .build = "other"}, now_);
  EXPECT_THAT(*watch_.build_defect(), HasSubstr("rank 2 on node2 runs another build"));
}

TEST_F(WatchTest, ANodeOnWhichNobodyWaitsIsTheSlowOne) {
  for (int i = 0; i < 60; ++i) {
    now_ += 1;
    ++changes_;
    beat(0, LoopPhase::kTraining, i % 10 < 6 ? "x" : "");
    beat(1, LoopPhase::kTraining, i % 10 < 6 ? "x" : "");
    beat(2, LoopPhase::kTraining);
  }
  const auto slow = watch_.straggler();
  ASSERT_TRUE(slow);
  EXPECT_EQ(slow->host, "node2");
  EXPECT_EQ(slow->waits, 0);
}

NodeReport good(const std::string& node) {
  return {.node = node,
          .unix_s = 1000,
          .available_gib = 65,
          .copy_gib_per_s = 9,
          .gflops = 90,
          .threads = 3,
          .disk_s = 0.1};
}

TEST(JudgeNodes, NamesTheBadOneAndWhy) {
  const std::vector<std::string> asked = {"a", "b", "c"};
  cluster::MachineSettings machine{.name = "site"};
  machine.rate.resource = "core";
  machine.peak_fp32_gflops.value = 33;
  const auto judged = [&](const NodeReport& third, std::vector<LinkReport> links = {}) -> std::string {
    const auto bad = judge_nodes(asked, {{good("a"), good("b"), third}, std::move(links)}, machine, 33, 1000);
    return bad.empty() ? "" : bad[0].node + ": " + bad[0].reason;
  };
  EXPECT_EQ(judged(good("c")), "");
  NodeReport bad = good("c");
  bad.disk_defect = "/tmp/x: Read-only file system";
  EXPECT_EQ(judged(bad), "c: /tmp/x: Read-only file system");
  bad = good("c");
  bad.available_gib = 20;
  EXPECT_THAT(judged(bad), HasSubstr("20.0 GiB of memory are available, the job asks for 33"));
  bad = good("c");
  bad.unix_s = 1100;
  EXPECT_THAT(judged(bad), HasSubstr("its clock is 100 s off"));
  bad = good("c");
  bad.gflops = 20;
  EXPECT_THAT(judged(bad), HasSubstr("6.7 GFLOP/s a thread, less than a quarter of the 33 of site"));
  bad = good("c");
  bad.copy_gib_per_s = 2;
  EXPECT_THAT(judged(bad), HasSubstr("memory copies 2.0 GiB/s"));
  EXPECT_THAT(judged(good("c"), {{"a", "b", 900}, {"b", "a", 900}, {"c", "b", 33}, {"b", "c", 33}, {"a", "c", 900}}),
              HasSubstr("c: 33 MiB/s to its neighbours"));
  const auto silent = judge_nodes(asked, {{good("a"), good("b")}, {}}, machine, 0, 1000);
  ASSERT_EQ(silent.size(), 1U);
  EXPECT_EQ(silent[0].node, "c");
  EXPECT_TRUE(judge_nodes(asked, {}, machine, 0, 1000).empty());
}

TEST(NodeReportLines, AreReadBackAmongOtherLines) {
  const auto reports = parse_reports("srun: something\n" + to_line(good("a")) + "\n{\"odd\": 1}\n{broken\n" +
                                     to_line(LinkReport{"a", "b", 257}) + "\n");
  ASSERT_EQ(reports.nodes.size(), 1U);
  EXPECT_EQ(reports.nodes[0].gflops, 90);
  ASSERT_EQ(reports.links.size(), 1U);
  EXPECT_EQ(reports.links[0].mib_per_s, 257);
}

}  // namespace
}  // namespace stoa::launcher

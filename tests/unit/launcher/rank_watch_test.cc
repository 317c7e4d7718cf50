#include "stoa/launcher/rank_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/clock.h"

namespace stoa::launcher {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using trainer::LoopPhase;

constexpr double kStep_s = 2;
/// 3 median steps and 3 s of slack.
constexpr double kAllowed_s = 3 * kStep_s + 3;

/// Ranks on a clock of their own; two on a node.
class Ranks {
 public:
  explicit Ranks(std::int64_t count, const WatchRules& rules = {})
      : count_(count), watch_(count, rules, clock_.monotonic_s()), beats_(std::size_t(count)) {}

  void greet(const std::string& build = "digest") {
    for (std::int64_t rank = 0; rank < count_; ++rank)
      watch_.greet({.rank = rank, .host = host(rank), .build = build}, now());
  }
  void say(std::int64_t rank) { watch_.hear(rank, beats_[std::size_t(rank)], now()); }
  void say() {
    for (std::int64_t rank = 0; rank < count_; ++rank) say(rank);
  }
  void enter(LoopPhase phase) {
    for (Heartbeat& beat : beats_) {
      beat.phase = phase;
      ++beat.changes;
    }
    say();
  }
  void step() {
    clock_.tick(kStep_s);
    for (Heartbeat& beat : beats_) {
      ++beat.step;
      ++beat.changes;
      beat.step_s = kStep_s;
    }
    say();
  }
  /// Greeted, and with a median.
  void train() {
    greet();
    enter(LoopPhase::kTraining);
    for (int i = 0; i < 7; ++i) step();
  }
  /// All go on speaking for so long, without a change.
  void stand_still(double seconds) {
    clock_.tick(seconds);
    say();
  }
  void wait_in(const std::string& collective) {
    for (Heartbeat& beat : beats_) beat.waiting = collective;
  }
  std::optional<RankWatch::Hang> hang() const { return watch_.hang(now()); }
  double now() const { return clock_.monotonic_s(); }
  Heartbeat& beat(std::int64_t rank) { return beats_[std::size_t(rank)]; }
  RankWatch& watch() { return watch_; }
  FakeClock& clock() { return clock_; }
  static std::string host(std::int64_t rank) { return "node" + std::to_string(rank / 2 + 1); }

 private:
  std::int64_t count_;
  FakeClock clock_;
  RankWatch watch_;
  std::vector<Heartbeat> beats_;
};

TEST(RankWatch, AHangIsOneOnlyAfterThreeMediansAndTheSlack) {
  Ranks ranks(3);
  ranks.train();
  ASSERT_EQ(ranks.watch().median_step_s(), kStep_s);
  ranks.stand_still(kAllowed_s);
  EXPECT_FALSE(ranks.hang());
  ranks.stand_still(0.125);
  ASSERT_TRUE(ranks.hang());
  EXPECT_EQ(ranks.hang()->still_s, kAllowed_s + 0.125);
}

TEST(RankWatch, RanksWhoseNumbersChangeDoNotHangHoweverSlowTheyAre) {
  Ranks ranks(3);
  ranks.train();
  for (int i = 0; i < 333; ++i) {
    ranks.clock().tick(kAllowed_s - 0.5);
    ++ranks.beat(i % 3).changes;
    ranks.say();
    ASSERT_FALSE(ranks.hang()) << i;
  }
}

TEST(RankWatch, ARankThatIsSilentIsTheCulprit) {
  Ranks ranks(3);
  ranks.train();
  ranks.wait_in("all_reduce gradients in the data group");
  ranks.clock().tick(kAllowed_s + 1);
  ranks.say(0);
  ranks.say(1);
  const auto hang = ranks.hang();
  ASSERT_TRUE(hang);
  EXPECT_THAT(hang->culprits, ElementsAre(2));
  EXPECT_EQ(hang->summary, "rank 2 on node2 is silent while 2 others wait");
  EXPECT_THAT(hang->text, HasSubstr("rank 2 on node2: training, step 7, silent for 10"));
  EXPECT_THAT(hang->text, HasSubstr("rank 0 on node1: training, step 7, waits for all_reduce gradients"));
}

TEST(RankWatch, ARankInNoCollectiveWhileOthersWaitIsTheCulprit) {
  Ranks ranks(5);
  ranks.train();
  ranks.wait_in("all_reduce gradients in the data group");
  ranks.beat(1).waiting = "";
  ranks.beat(4).waiting = "";
  ranks.stand_still(kAllowed_s + 1);
  const auto hang = ranks.hang();
  ASSERT_TRUE(hang);
  EXPECT_THAT(hang->culprits, ElementsAre(1, 4));
  EXPECT_EQ(hang->summary, "rank 1 on node1 and 1 more is in no collective while 3 others wait");
  EXPECT_THAT(hang->text, HasSubstr("rank 4 on node3: training, step 7, in no collective"));
}

TEST(RankWatch, WhereAllDoTheSameNobodyIsTheCulprit) {
  for (const char* waiting : {"", "all_gather weights"}) {
    Ranks ranks(3);
    ranks.train();
    ranks.wait_in(waiting);
    ranks.stand_still(kAllowed_s + 1);
    const auto hang = ranks.hang();
    ASSERT_TRUE(hang);
    EXPECT_THAT(hang->culprits, IsEmpty());
    EXPECT_EQ(hang->summary, "all 3 ranks stand still for 10 s");
  }
}

TEST(RankWatch, BeforeThereIsAMedianItIsPatient) {
  Ranks ranks(3);
  ranks.greet();
  ranks.enter(LoopPhase::kTraining);
  ranks.stand_still(900);
  EXPECT_FALSE(ranks.hang());
  ranks.stand_still(0.125);
  EXPECT_TRUE(ranks.hang());
}

TEST(RankWatch, OutsideOfStepsItIsPatientTooEvenWithOneRankThere) {
  for (const LoopPhase phase : {LoopPhase::kEvaluating, LoopPhase::kSaving, LoopPhase::kEnding, LoopPhase::kStarting}) {
    Ranks ranks(3, {.patience_s = 77});
    ranks.train();
    ranks.beat(1).phase = phase;
    ++ranks.beat(1).changes;
    ranks.say(1);
    ranks.stand_still(77);
    EXPECT_FALSE(ranks.hang());
    ranks.stand_still(0.125);
    EXPECT_TRUE(ranks.hang());
  }
}

TEST(RankWatch, ARankThatNeverCameIsNamedAfterThePatience) {
  Ranks ranks(3, {.patience_s = 77});
  ranks.watch().greet({.rank = 0, .host = "node1", .build = "d"}, ranks.now());
  EXPECT_EQ(ranks.watch().greeted(), 1);
  ranks.clock().tick(77.5);
  ranks.say(0);
  const auto hang = ranks.hang();
  // A first heartbeat with no change is no progress.
  ASSERT_TRUE(hang);
  EXPECT_THAT(hang->culprits, ElementsAre(1, 2));
  EXPECT_THAT(hang->summary, HasSubstr("rank 1 on ? and 1 more is silent"));
  EXPECT_THAT(hang->text, HasSubstr("rank 2 on ?: starting, step 0, never came"));
}

TEST(RankWatch, ACollectivesDeadlineThatPassesAboutAsSoonIsWaitedFor) {
  const std::vector<std::pair<double, double>> allowed_with_deadline = {{1e9, kAllowed_s},
                                                                        {kAllowed_s + 3, kAllowed_s},
                                                                        {kAllowed_s + 2.5, kAllowed_s + 5.5},
                                                                        {kAllowed_s, kAllowed_s + 3},
                                                                        {5, 8}};
  for (const auto& [deadline_s, allowed_s] : allowed_with_deadline) {
    Ranks ranks(3, {.deadline_s = deadline_s});
    ranks.train();
    ranks.stand_still(allowed_s);
    EXPECT_FALSE(ranks.hang()) << deadline_s;
    ranks.stand_still(0.125);
    EXPECT_TRUE(ranks.hang()) << deadline_s;
  }
}

TEST(RankWatch, OneSlowStepDoesNotMoveTheMedian) {
  Ranks ranks(3);
  ranks.train();
  ++ranks.beat(0).step;
  ranks.beat(0).step_s = 333;
  ranks.say(0);
  EXPECT_EQ(ranks.watch().median_step_s(), kStep_s);
  EXPECT_EQ(ranks.watch().step(), 8);
}

TEST(RankWatch, TheTextTellsOfTheFirst64Ranks) {
  Ranks ranks(67);
  ranks.train();
  ranks.stand_still(kAllowed_s + 1);
  const auto hang = ranks.hang();
  ASSERT_TRUE(hang);
  EXPECT_EQ(std::count(hang->text.begin(), hang->text.end(), '\n'), 65);
  EXPECT_THAT(hang->text, testing::EndsWith("and 3 more\n"));
}

TEST(RankWatch, ANumberThatIsNoRankOfTheRunIsPassedOver) {
  Ranks ranks(3);
  ranks.train();
  ranks.watch().greet({.rank = 3, .host = "node9", .build = "other"}, ranks.now());
  for (const std::int64_t number : {std::int64_t{-1}, std::int64_t{3}, std::int64_t{1} << 60}) {
    ranks.watch().hear(number, {.step = 99}, ranks.now());
    EXPECT_FALSE(ranks.watch().is_ending(number));
    EXPECT_EQ(ranks.watch().host_of(number), "?");
  }
  EXPECT_EQ(ranks.watch().step(), 7);
  EXPECT_EQ(ranks.watch().greeted(), 3);
  EXPECT_FALSE(ranks.watch().build_defect());
}

TEST(RankWatch, ARankThatGreetsAgainIsCountedOnceAndKeepsItsPlace) {
  Ranks ranks(3);
  ranks.train();
  ranks.greet();
  EXPECT_EQ(ranks.watch().greeted(), 3);
  EXPECT_EQ(ranks.watch().host_of(2), "node2");
  ranks.beat(2).phase = LoopPhase::kEnding;
  ranks.say(2);
  EXPECT_TRUE(ranks.watch().is_ending(2));
  EXPECT_FALSE(ranks.watch().is_ending(1));
}

TEST(RankWatch, TwoBuildsAtOnceAreADefect) {
  Ranks ranks(3);
  ranks.greet();
  EXPECT_FALSE(ranks.watch().build_defect());
  ranks.watch().greet({.rank = 2, .host = "node2", .build = "older"}, ranks.now());
  EXPECT_EQ(ranks.watch().build_defect(),
            "rank 2 on node2 runs another build of stoa-train or its libraries than rank 0 on node1");
}

TEST(RankWatch, RanksThatDidNotGreetYetAreNoDefect) {
  Ranks ranks(3);
  ranks.watch().greet({.rank = 1, .host = "node1", .build = "digest"}, ranks.now());
  EXPECT_FALSE(ranks.watch().build_defect());
}

/// Each tenth of beats in which ranks of the first node and of the others wait.
void beat_with_waits(Ranks& ranks, std::int64_t count, int beats, int first_node_tenths, int others_tenths) {
  for (int i = 0; i < beats; ++i) {
    ranks.clock().tick(1);
    for (std::int64_t rank = 0; rank < count; ++rank) {
      const int tenths = Ranks::host(rank) == "node1" ? first_node_tenths : others_tenths;
      ranks.beat(rank).waiting = i % 10 < tenths ? "all_reduce" : "";
      ++ranks.beat(rank).changes;
    }
    ranks.say();
  }
}

TEST(RankWatch, TheNodeForWhichTheOthersWaitIsTheStraggler) {
  Ranks ranks(6);
  ranks.greet();
  ranks.enter(LoopPhase::kTraining);
  beat_with_waits(ranks, 6, 28, 1, 7);
  EXPECT_FALSE(ranks.watch().straggler());  // too few heartbeats
  beat_with_waits(ranks, 6, 32, 1, 7);
  const auto slow = ranks.watch().straggler();
  ASSERT_TRUE(slow);
  EXPECT_EQ(slow->host, "node1");
  EXPECT_LT(slow->waits, 0.2);
  EXPECT_GT(slow->others_wait, 0.6);
}

TEST(RankWatch, NodesThatWaitAboutAsMuchAreNoStragglers) {
  for (const auto& [first, others] : {std::pair(4, 7), std::pair(5, 5), std::pair(0, 0), std::pair(7, 1)}) {
    Ranks ranks(6);
    ranks.greet();
    ranks.enter(LoopPhase::kTraining);
    beat_with_waits(ranks, 6, 60, first, others);
    EXPECT_FALSE(ranks.watch().straggler()) << first << ' ' << others;
  }
}

TEST(RankWatch, OneNodeAloneIsNoStraggler) {
  Ranks ranks(2);
  ranks.greet();
  ranks.enter(LoopPhase::kTraining);
  beat_with_waits(ranks, 2, 60, 1, 1);
  EXPECT_FALSE(ranks.watch().straggler());
}

TEST(RankWatch, AStragglerThatKeepsUpAgainIsForgotten) {
  Ranks ranks(6);
  ranks.greet();
  ranks.enter(LoopPhase::kTraining);
  beat_with_waits(ranks, 6, 60, 0, 8);
  ASSERT_TRUE(ranks.watch().straggler());
  beat_with_waits(ranks, 6, 120, 5, 5);
  EXPECT_FALSE(ranks.watch().straggler());
}

}  // namespace
}  // namespace stoa::launcher

/// A run that is killed or stopped at any moment goes on with the same command as if nothing had happened: the real
/// programs under the real mpirun.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>

#include "stoa/tests/faults/training_run.h"

namespace stoa::faults {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;

/// Larger steps than elsewhere, so that there is time to be killed in them.
const std::vector<std::string> kLongRun = {"training.steps=150", "training.global_batch=32"};

enum class Victim { kEverything, kOneRank, kMpirun, kStoa };

class Killer {
 public:
  explicit Killer(const TrainingFolder& folder) : folder_(folder) {}

  /// Waits until `run` came some steps further or, every third time, only some milliseconds, which may be before the
  /// first step; then a little more.
  void wait_for_a_moment(const std::string& run, Process& stoa, int round) {
    const std::int64_t goal = folder_.last_step(run) + 1 + std::int64_t(random_() % 5);
    const auto came = [&] { return folder_.last_step(run) >= goal || stoa.poll(); };
    wait_until(came, round % 3 == 2 ? double(random_() % 600) / 1000 : 20);
    wait_until([] { return false; }, double(random_() % 60) / 1000);
  }

  /// How many processes it struck: all of them where none is of the victim's kind yet.
  int strike(Victim victim) {
    int struck = 0;
    for (const RunningProcess& process : folder_.running()) {
      const bool chosen = victim == Victim::kEverything || process.name == name_of(victim);
      if (!chosen || (struck > 0 && victim != Victim::kEverything)) continue;
      if (::kill(process.pid, SIGKILL) == 0) ++struck;
    }
    // Until they are gone: the next round is not to strike one that dies already, nor to miss one that was being
    // forked.
    if (victim == Victim::kEverything) wait_until([this] { return folder_.kill_all() == 0; }, 20);
    return struck == 0 && victim != Victim::kEverything ? strike(Victim::kEverything) : struck;
  }

 private:
  static std::string name_of(Victim victim) {
    return victim == Victim::kOneRank ? "stoa-train" : victim == Victim::kMpirun ? "mpirun" : "stoa";
  }

  const TrainingFolder& folder_;
  std::mt19937 random_{7};
};

TEST(TrainingRun, KilledTenTimesHasTheCurveOfTheUninterruptedRun) {
  TrainingFolder folder;
  const Curve uninterrupted = folder.curve("whole", kLongRun);
  Killer killer(folder);
  int struck = 0;
  for (int round = 0; round < 10; ++round) {
    SCOPED_TRACE(fmt::format("round {}", round));
    const auto stoa = folder.start_run("killed", kLongRun);
    killer.wait_for_a_moment("killed", *stoa, round);
    struck += killer.strike(static_cast<Victim>(round % 4)) > 0;
    const CommandEnd end = folder.finish(*stoa);
    EXPECT_THAT(end.process.exit_code, AnyOf(exit_code(ErrorKind::kComm), 128 + SIGKILL)) << end.err;
  }
  EXPECT_EQ(struck, 10) << "the run was over too early";
  EXPECT_EQ(first_difference(folder.curve("killed", kLongRun), uninterrupted), "");
  EXPECT_TRUE(folder.nothing_is_running());
}

TEST(TrainingRun, LeavesNoRankBehindWhenMpirunIsKilled) {
  TrainingFolder folder;
  const auto stoa = folder.start_run("run", {"training.steps=100000"});
  ASSERT_TRUE(wait_until([&] { return folder.last_step("run") >= 3; }, 30));
  ASSERT_GT(Killer(folder).strike(Victim::kMpirun), 0);
  const CommandEnd end = folder.finish(*stoa);
  EXPECT_EQ(end.process.exit_code, exit_code(ErrorKind::kComm)) << end.err;
  EXPECT_THAT(end.err, HasSubstr("died without a report (mpirun: signal 9, Killed)"));
  EXPECT_TRUE(folder.nothing_is_running(5));
}

TEST(TrainingRun, SaysThatARankWasKilled) {
  TrainingFolder folder;
  const auto stoa = folder.start_run("run", {"training.steps=100000"});
  ASSERT_TRUE(wait_until([&] { return folder.last_step("run") >= 3; }, 30));
  ASSERT_GT(Killer(folder).strike(Victim::kOneRank), 0);
  const CommandEnd end = folder.finish(*stoa);
  EXPECT_EQ(end.process.exit_code, exit_code(ErrorKind::kComm)) << end.err;
  EXPECT_THAT(end.err, HasSubstr("the same command goes on from the last checkpoint"));
  EXPECT_TRUE(folder.nothing_is_running(5));
}

struct Stop {
  std::string name;
  std::string to;
  int signal;
};
std::ostream& operator<<(std::ostream& out, const Stop& stop) { return out << stop.name; }

class OrderlyStop : public testing::TestWithParam<Stop> {};

TEST_P(OrderlyStop, SavesAndGoesOnWithTheSameBits) {
  TrainingFolder folder;
  const Curve uninterrupted = folder.curve("whole", kLongRun);
  const auto stoa = folder.start_run("stopped", kLongRun);
  ASSERT_TRUE(wait_until([&] { return folder.last_step("stopped") >= 7; }, 30));
  for (const RunningProcess& process : folder.running())
    if (process.name == GetParam().to) ::kill(process.pid, GetParam().signal);
  const CommandEnd end = folder.finish(*stoa);
  EXPECT_EQ(end.process.exit_code, kExitSaved) << end.err;
  EXPECT_THAT(end.out, HasSubstr("the same command goes on from there"));
  EXPECT_THAT(end.err, Not(HasSubstr("mpirun")));
  EXPECT_TRUE(folder.nothing_is_running());

  const Json outcome = parse_json(read_text_file(folder.run_directory("stopped") / "outcome.json"), "outcome");
  EXPECT_EQ(outcome.at("kind"), "saved");
  EXPECT_LT(outcome.at("step").get<std::int64_t>(), 150);
  EXPECT_EQ(first_difference(folder.curve("stopped", kLongRun), uninterrupted), "");
}

INSTANTIATE_TEST_SUITE_P(Signals, OrderlyStop,
                         testing::Values(Stop{"TermToStoa", "stoa", SIGTERM}, Stop{"InterruptToStoa", "stoa", SIGINT},
                                         Stop{"Usr2ToMpirun", "mpirun", SIGUSR2}),
                         [](const auto& instance) { return instance.param.name; });

/// mpirun wakes frozen ranks and gives them a second: they may save in it.
TEST(TrainingRun, EndsAtOnceWhenAskedTwice) {
  TrainingFolder folder;
  const auto stoa = folder.start_run("run", {"training.steps=100000"});
  ASSERT_TRUE(wait_until([&] { return folder.last_step("run") >= 3; }, 30));
  for (const RunningProcess& process : folder.running())
    if (process.name == "stoa-train") ::kill(process.pid, SIGSTOP);
  stoa->signal(SIGINT);
  const auto heard = [&] { return read_text_file(folder.path() / "err").find("saving, then") != std::string::npos; };
  ASSERT_TRUE(wait_until(heard, 10));
  stoa->signal(SIGINT);
  const CommandEnd end = folder.finish(*stoa, 20);
  EXPECT_THAT(end.process.exit_code, AnyOf(128 + SIGINT, kExitSaved)) << end.err;
  EXPECT_THAT(end.err, HasSubstr("stopping at once"));
  EXPECT_TRUE(folder.nothing_is_running());
}

TEST(TrainingRun, EndsWhereAnotherRankNeverComes) {
  TrainingFolder folder;
  ASSERT_EQ(folder.run("run").process.exit_code, kExitFinished);
  const auto words = [](const std::string& program) { return std::vector<std::string>{"-np", "1", program}; };
  std::vector<std::string> job = {"/usr/bin/env", "mpirun", "--oversubscribe", "--bind-to", "none"};
  for (const std::string& word : words(fs::path(STOA_PROGRAM).parent_path() / "stoa-train")) job.push_back(word);
  const fs::path spec = folder.path() / "spec.yaml";
  std::ofstream(spec) << std::regex_replace(read_text_file(folder.run_directory("run") / "spec.yaml"),
                                            std::regex("deadline_s: .*"), "deadline_s: 2");
  job.push_back(spec.string());
  job.push_back(":");
  for (const std::string& word : words("/bin/sleep")) job.push_back(word);
  job.push_back("600");
  const CommandEnd end = folder.finish(*folder.start(job), 30);
  EXPECT_NE(end.process.exit_code, kExitFinished);
  EXPECT_THAT(end.err, HasSubstr("MPI_Init waited 2 s for the other ranks"));
  EXPECT_TRUE(folder.nothing_is_running());
}

TEST(TrainingRun, ReportsAFrozenRankWhenItsDeadlineHasPassed) {
  TrainingFolder folder;
  const auto stoa = folder.start_run("run", {"training.steps=100000", "parallel.deadline_s=2"});
  ASSERT_TRUE(wait_until([&] { return folder.last_step("run") >= 3; }, 30));
  for (const RunningProcess& process : folder.running())
    if (process.name == "stoa-train") {
      ::kill(process.pid, SIGSTOP);
      break;
    }
  const CommandEnd end = folder.finish(*stoa, 20);
  EXPECT_EQ(end.process.exit_code, exit_code(ErrorKind::kComm)) << end.err;
  EXPECT_THAT(end.err, HasSubstr("last collectives of rank"));
  EXPECT_TRUE(folder.nothing_is_running());
}

}  // namespace
}  // namespace stoa::faults

/// A rank that is killed, frozen or fails at any phase of a run on a composed layout: the others end in time, with the
/// right exit code and a report that names it and the collective, and the run goes on with the same command. The real
/// programs under the real mpirun.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <regex>

#include "stoa/tests/faults/training_run.h"

namespace stoa::faults {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;
using Words = std::vector<std::string>;

constexpr double kDeadline_s = 2;
/// What a rank that lost the others takes to tell so, and mpirun to end the rest, on a busy machine.
constexpr double kMargin_s = 15;

Words operator+(Words a, const Words& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

const Words kShort = {"model.layers=4", "training.micro_batch=1", "training.steps=100000", "optimizer.warmup_steps=0",
                      fmt::format("parallel.deadline_s={}", kDeadline_s)};
const Words kDataPipeline = {"parallel.data=2", "parallel.pipeline=2"};
const Words kTensorPipeline = {"parallel.data=1", "parallel.tensor=2", "parallel.pipeline=2",
                               "parallel.schedule=zero_bubble"};
const Words kDataTensor = {"parallel.data=2", "parallel.tensor=2", "parallel.zero=1"};
const Words kInterleaved = {"parallel.data=2", "parallel.pipeline=2", "parallel.schedule=interleaved",
                            "parallel.chunks_per_stage=2", "parallel.zero=2"};

enum class Moment { kStart, kSteps };

/// Where a run spends nearly all of its time: a random moment of it is a moment of that phase.
struct Phase {
  std::string name;
  Words layout, settings;
  int victim;
  Moment moment = Moment::kSteps;
};

const Phase kPhases[] = {
    {"Start", kInterleaved, {}, 2, Moment::kStart},
    {"Passes", kTensorPipeline, {"training.global_batch=64", "checkpoint.every_steps=1000"}, 3},
    {"Update", kDataTensor, {"training.global_batch=2", "model.width=128", "checkpoint.every_steps=1000"}, 1},
    {"Evaluation", kDataPipeline, {"evaluation.every_steps=1", "evaluation.batches=20"}, 2},
    {"Checkpoint", kInterleaved, {"checkpoint.every_steps=1"}, 0},
};

struct Fault {
  Phase phase;
  std::string name;
  int signal;
};
std::ostream& operator<<(std::ostream& out, const Fault& fault) { return out << fault.phase.name << fault.name; }

std::vector<Fault> faults_of(const std::string& name, int signal) {
  std::vector<Fault> faults;
  for (const Phase& phase : kPhases) faults.push_back({phase, name, signal});
  return faults;
}

class LayoutFault : public testing::TestWithParam<Fault> {
 protected:
  Words words(const Words& more = {}) const {
    return kShort + GetParam().phase.layout + GetParam().phase.settings + more;
  }

  void strike(Process& stoa) {
    const Phase& phase = GetParam().phase;
    std::mt19937 random(unsigned(GetParam().signal) + unsigned(phase.name.size()));
    std::optional<pid_t> victim;
    const auto came = [&] { return phase.moment == Moment::kStart || folder_.last_step("run") >= 3; };
    ASSERT_TRUE(
        wait_until([&] { return (came() && (victim = folder_.process_of_rank(phase.victim))) || stoa.poll(); }, 30));
    wait_until([] { return false; }, double(random() % 300) / 1000);
    ASSERT_TRUE(victim);
    ASSERT_EQ(::kill(*victim, GetParam().signal), 0);
  }

  /// A rank that is lost while the job is put together leaves nobody who knows it by number.
  std::string report() const {
    const int victim = GetParam().phase.victim;
    const std::string named =
        GetParam().signal == SIGKILL
            ? fmt::format("rank {} is gone: its process [0-9]+ has ended", victim)
            : fmt::format("rank {}(, rank [0-9])* (did not come|sent nothing|took no message) before the deadline",
                          victim);
    return "#[0-9]+ [a-z_]+ .* on rank [0-9] of the (job|[a-z ]+ of ranks [0-9, ]+) .deadline 2 s.: .*" + named;
  }

  TrainingFolder folder_;
};

TEST_P(LayoutFault, EndsTheOthersInTimeNamesTheRankAndGoesOn) {
  const auto stoa = folder_.start_run("run", words());
  strike(*stoa);
  const CommandEnd end = folder_.finish(*stoa, kDeadline_s + kMargin_s);
  EXPECT_EQ(end.process.exit_code, exit_code(ErrorKind::kComm)) << end.err;
  EXPECT_TRUE(folder_.nothing_is_running(5));
  const auto step = folder_.last_step("run");
  if (step > 0) {
    const Json outcome = parse_json(read_text_file(folder_.run_directory("run") / "outcome.json"), "outcome");
    EXPECT_EQ(outcome.at("kind"), "failed");
    EXPECT_EQ(outcome.at("error_kind"), "communication");
    EXPECT_TRUE(std::regex_search(end.err, std::regex(report()))) << end.err;
    EXPECT_THAT(end.err,
                AllOf(HasSubstr("last collectives of rank"), HasSubstr("\njob, "), HasSubstr("group of ranks")));
  } else {
    EXPECT_THAT(end.err,
                AnyOf(ContainsRegex(report()), HasSubstr("MPI_Init waited"), HasSubstr("died without a report")));
  }
  const CommandEnd again =
      folder_.run("run", words({fmt::format("training.steps={}", step + 1), "parallel.deadline_s=60"}));
  EXPECT_EQ(again.process.exit_code, kExitFinished) << again.err;
}

const auto kFaultName = [](const auto& instance) { return instance.param.phase.name; };
INSTANTIATE_TEST_SUITE_P(Killed, LayoutFault, testing::ValuesIn(faults_of("Killed", SIGKILL)), kFaultName);
INSTANTIATE_TEST_SUITE_P(Frozen, LayoutFault, testing::ValuesIn(faults_of("Frozen", SIGSTOP)), kFaultName);

/// A file of the next checkpoint is larger than this rank may write.
TEST(LayoutStorage, ARankThatCannotWriteItsShardEndsAllWithItsError) {
  TrainingFolder folder;
  const auto stoa = folder.start_run("run", kShort + kDataTensor + Words{"checkpoint.every_steps=20"});
  ASSERT_TRUE(wait_until([&] { return folder.last_step("run") >= 3; }, 30));
  const auto victim = folder.process_of_rank(3);
  ASSERT_TRUE(victim);
  const rlimit limit{.rlim_cur = 4097, .rlim_max = 4097};
  ASSERT_EQ(::prlimit(*victim, RLIMIT_FSIZE, &limit, nullptr), 0);
  const CommandEnd end = folder.finish(*stoa, 30);
  EXPECT_EQ(end.process.exit_code, exit_code(ErrorKind::kStorage)) << end.err;
  EXPECT_THAT(end.err, AllOf(HasSubstr("shard-00003-of-00004.h5"), HasSubstr("File too large")));
  EXPECT_TRUE(folder.nothing_is_running());
}

class LayoutThrow : public testing::TestWithParam<Words> {};

/// Rank 0 alone writes the metrics, and nobody waits for it there: the others must not end by having lost it.
TEST_P(LayoutThrow, OfOneRankBetweenCollectivesIsTheErrorOfTheJob) {
  TrainingFolder folder;
  const Words settings = {"parallel.deadline_s=60", "checkpoint.every_steps=100000"};
  const auto stoa = folder.start_run("run", kShort + GetParam() + settings);
  ASSERT_TRUE(wait_until([&] { return folder.last_step("run") >= 3; }, 30));
  const auto victim = folder.process_of_rank(0);
  ASSERT_TRUE(victim);
  const rlimit limit{.rlim_cur = 4097, .rlim_max = 4097};
  ASSERT_EQ(::prlimit(*victim, RLIMIT_FSIZE, &limit, nullptr), 0);
  const CommandEnd end = folder.finish(*stoa, kMargin_s);
  EXPECT_EQ(end.process.exit_code, exit_code(ErrorKind::kStorage)) << end.err;
  EXPECT_THAT(end.err,
              AllOf(HasSubstr("metrics.jsonl"), HasSubstr("File too large"), Not(HasSubstr("broke the group"))));
  const Json outcome = parse_json(read_text_file(folder.run_directory("run") / "outcome.json"), "outcome");
  EXPECT_EQ(outcome.at("error_kind"), "storage");
  EXPECT_TRUE(folder.nothing_is_running());
}

INSTANTIATE_TEST_SUITE_P(On, LayoutThrow, testing::Values(kDataPipeline, kDataTensor, kInterleaved));

TEST(LayoutDivergence, EndsAllRanksOfAMeshWithANumericError) {
  TrainingFolder folder;
  const CommandEnd end = folder.run("diverging", kShort + kInterleaved +
                                                     Words{"optimizer.learning_rate=1e30", "optimizer.gradient_clip=0",
                                                           "training.spike.most_skips=3", "training.steps=40"});
  EXPECT_EQ(end.process.exit_code, exit_code(ErrorKind::kNumeric)) << end.err;
  EXPECT_THAT(end.err, AllOf(HasSubstr("4 steps in a row"), Not(HasSubstr("broke the group"))));
  EXPECT_TRUE(folder.nothing_is_running());
}

}  // namespace
}  // namespace stoa::faults

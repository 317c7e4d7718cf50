/// `stoa run` with a shell script in the place of mpirun and its ranks.
#include "stoa/launcher/local_run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "stoa/base/error.h"
#include "stoa/cluster/run_record.h"
#include "stoa/launcher/data_files.h"
#include "stoa/launcher/run_directory.h"

namespace stoa::launcher {
namespace {

using testing::HasSubstr;

/// Writes a start line and steps 1 to 3, then does what `ending` says. Asked to save, it does.
constexpr const char* kRanks = R"(
run=$(dirname "$0"); attempt=$1; ending=$2
say() { echo "$1" | tee -a "$run/metrics.jsonl"; }
report() { echo "{\"version\":1,\"attempt\":\"$attempt\",\"kind\":\"$1\",\"step\":$2,\"checkpoint\":\"\",\"error_kind\":\"$3\",\"message\":\"$4\",\"energy_j\":${5-12.5},\"time\":1764000009}" >"$run/outcome.json"; }
trap 'report saved 3 "" ""; exit 0' USR2
say "{\"kind\":\"start\",\"step\":0,\"attempt\":\"$attempt\",\"ranks\":1,\"threads_per_rank\":1,\"isa\":\"plain\",\"parameters\":1000,\"time\":1764000000,\"host\":\"h\"}"
for s in 1 2 3; do
  say "{\"kind\":\"step\",\"step\":$s,\"steps\":3,\"loss\":2.5,\"gradient_norm\":1,\"parameter_norm\":1,\"learning_rate\":1e-4,\"consumed_tokens\":$s,\"step_s\":0.1,\"tokens_per_s\":10,\"model_flops_utilisation\":0.4,\"peak_gflops\":5,\"resident_bytes\":1,\"energy_j\":$s,\"energy_source\":\"modelled\",\"skipped\":\"\",\"attempt\":\"$attempt\",\"time\":176400000$s}"
done
case $ending in
finish) report finished 3 "" "" ;;
diverge) report failed 0 numeric "the loss was not finite 11 times in a row" 0 ;;
die) exit 137 ;;
full) exit 6 ;;
obey) kill -INT $PPID; for i in $(seq 1000); do sleep 0.01; done ;;
wait) for i in $(seq 1000); do sleep 0.01; done ;;
linger) for i in $(seq 70); do sleep 0.01; done; report finished 3 "" "" ;;
switch) touch "$run/stop"; for i in $(seq 1000); do sleep 0.01; done ;;
pause | cancel)
  echo "{\"event\":\"asked\",\"time\":1764000007,\"request\":\"$ending\",\"user\":\"alice\"}" >>"$run/events.jsonl"
  for i in $(seq 1000); do sleep 0.01; done ;;
esac
)";

/// Goes so many times as fast as the machine's.
class FastClock final : public Clock {
 public:
  double monotonic_s() const override { return 33 * system_.monotonic_s(); }
  double unix_s() const override { return 1764000000 + monotonic_s() - began_s_; }

 private:
  SystemClock system_;
  double began_s_ = 33 * SystemClock().monotonic_s();
};

class LocalRunTest : public testing::Test {
 protected:
  LocalRunTest()
      : folder_(std::filesystem::temp_directory_path() / fmt::format("stoa_local_run_{}_{}", ::getpid(), counter_++)) {
    std::filesystem::create_directories(folder_ / "machines");
    std::filesystem::copy(std::filesystem::path(STOA_CONFIGS_DIRECTORY) / "machines/local.yaml", folder_ / "machines");
    run_.path = folder_ / "run";
    ::setenv("XDG_STATE_HOME", (folder_ / "state").c_str(), 1);
    std::ofstream text(folder_ / "text.txt");
    for (int i = 0; i < 400; ++i)
      text << "line " << i * 7 << " of some text that repeats\n" << (i % 20 == 0 ? "<|endoftext|>\n" : "");
    std::ofstream(folder_ / "a.yaml") << fmt::format(
        "name: a\nrun_directory: {0}/run\nmodel: {{family: llama, layers: 1, width: 33, heads: 3, head_width: 2, "
        "vocabulary_size: 261, "
        "context_length: 5}}\ndata: {{prefix: {0}/corpus, tokenizer: {0}/tokenizer.json, text: [\"{0}/*.txt\"], "
        "held_out_fraction: "
        "0.1}}\ntraining: {{steps: 3, global_batch: 1}}\n",
        folder_.string());
  }
  ~LocalRunTest() override {
    ::unsetenv("XDG_STATE_HOME");
    std::filesystem::remove_all(folder_);
  }

  using Ending = std::function<std::string(const std::string& attempt)>;
  int run(const std::string& ending, const std::vector<std::string>& overrides = {}) {
    return run(FakeClock(1764000000), [&](const std::string&) { return ending; }, {.overrides = overrides});
  }
  int run(const Clock& clock, const Ending& ending, RunRequest request = {}) {
    request.experiment_file = folder_ / "a.yaml";
    request.ranks = [&](const RankCommand& command) {
      const std::string script = (command.spec.parent_path() / "ranks.sh").string();
      std::ofstream(script) << kRanks;
      return ProcessSettings{.argv = {"/bin/sh", script, command.attempt, ending(command.attempt)}, .environment = {}};
    };
    std::FILE* out = std::fopen((folder_ / "out").c_str(), "w");
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> owner(out, std::fclose);
    return run_locally(request, out, out, clock);
  }
  std::string said() const { return read_text_file(folder_ / "out"); }
  cluster::RunState state() const { return cluster::read_run_state(run_.events()); }

  std::filesystem::path folder_;
  RunDirectory run_;
  static inline int counter_ = 0;
};

TEST_F(LocalRunTest, FinishesWithARecordAReportAndAPriceAndDoesNotTrainTwice) {
  EXPECT_EQ(run("finish"), kExitFinished);
  EXPECT_THAT(said(), HasSubstr("attempt 1 begins: 1.00 k parameters, 1 rank x 1 thread, plain"));
  EXPECT_THAT(said(), HasSubstr("finished at step 3"));
  EXPECT_EQ(state().phase, cluster::RunPhase::kFinished);
  EXPECT_EQ(state().attempts.at(0).ended->energy_j, 12.5);
  EXPECT_TRUE(std::filesystem::exists(run_.report()));
  EXPECT_EQ(read_experiment(run_.spec()).cluster.machine, "local");
  EXPECT_TRUE(std::filesystem::exists(run_.machines() / "local.yaml"));

  EXPECT_EQ(run("finish"), kExitFinished);
  EXPECT_THAT(said(), HasSubstr("finished at step 3 already"));
  EXPECT_EQ(state().attempts.size(), 1U);
  EXPECT_EQ(run("finish", {"training.steps=4"}), kExitFinished);
  EXPECT_EQ(state().attempts.size(), 2U);
}

TEST_F(LocalRunTest, PassesOnTheKindAndTheMessageOfAFailure) {
  try {
    run("diverge");
    FAIL() << "returned";
  } catch (const Error& failure) {
    EXPECT_EQ(failure.kind(), ErrorKind::kNumeric);
    EXPECT_STREQ(failure.what(), "the loss was not finite 11 times in a row");
  }
  EXPECT_EQ(state().phase, cluster::RunPhase::kFailed);
}

TEST_F(LocalRunTest, AFailedAttemptHasTheStepAndTheEnergyOfItsLastLine) {
  EXPECT_THROW(run("diverge"), Error);
  EXPECT_EQ(state().attempts.at(0).ended->step, 3);
  EXPECT_EQ(state().attempts.at(0).ended->energy_j, 3);
}

TEST_F(LocalRunTest, SaysWhichAttemptDiedWithoutAReport) {
  try {
    run("die");
    FAIL() << "returned";
  } catch (const Error& failure) {
    EXPECT_EQ(failure.kind(), ErrorKind::kComm);
    EXPECT_THAT(failure.what(),
                HasSubstr(": attempt 1 died without a report (a rank: signal 9, Killed), last heard of at step 3; the "
                          "same command goes on from the last checkpoint"));
  }
  EXPECT_EQ(state().phase, cluster::RunPhase::kLost);
  EXPECT_EQ(run("finish"), kExitFinished);
  EXPECT_EQ(state().attempts.at(1).started.attempt, "2");
}

TEST_F(LocalRunTest, TakesTheKindFromTheExitCodeWhereARankCouldWriteNoReport) {
  try {
    run("full");
    FAIL() << "returned";
  } catch (const Error& failure) {
    EXPECT_EQ(failure.kind(), ErrorKind::kStorage);
    EXPECT_THAT(failure.what(),
                HasSubstr(run_.path.string() + ": attempt 1 died without a report (mpirun: exit code 6)"));
  }
}

TEST_F(LocalRunTest, AsksTheRanksToSaveOnTheFirstInterrupt) {
  EXPECT_EQ(run("obey"), kExitSaved);
  EXPECT_THAT(said(), HasSubstr("saving, then stopping; again to stop at once"));
  EXPECT_EQ(state().phase, cluster::RunPhase::kSaved);
}

TEST_F(LocalRunTest, RehearsesATimeLimitInTwoJobsAndFinishesInTheThird) {
  const auto ending = [](const std::string& attempt) { return attempt == "3" ? "finish" : "wait"; };
  EXPECT_EQ(run(FastClock(), ending, {.limit_s = 44, .warning_s = 7}), kExitFinished);
  EXPECT_THAT(said(), HasSubstr("time limit: saved at step 3; the next job goes on"));
  EXPECT_THAT(said(), HasSubstr("finished at step 3"));
  const cluster::RunState life = state();
  EXPECT_EQ(life.phase, cluster::RunPhase::kFinished);
  ASSERT_EQ(life.attempts.size(), 3U);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(life.attempts[i].ended->outcome, cluster::AttemptOutcome::kSaved);
    EXPECT_EQ(life.attempts[i].ended->cause, cluster::EndCause::kTimeLimit);
    // Not before the warning.
    EXPECT_GE(life.attempts[i].ended->time - life.attempts[i].started.time, 44 - 7);
  }
  EXPECT_EQ(life.attempts[2].ended->cause, cluster::EndCause::kNone);
}

TEST_F(LocalRunTest, TheSwitchFileStopsARunAndSaysSo) {
  EXPECT_EQ(run(FastClock(), [](const std::string&) { return "switch"; }), kExitSaved);
  EXPECT_EQ(state().attempts.at(0).ended->cause, cluster::EndCause::kSwitchFile);
  EXPECT_EQ(state().phase, cluster::RunPhase::kSaved);
}

TEST_F(LocalRunTest, ARequestOfItsUserStopsARunOnce) {
  EXPECT_EQ(run(FastClock(), [](const std::string&) { return "pause"; }), kExitSaved);
  EXPECT_EQ(state().attempts.at(0).ended->cause, cluster::EndCause::kPause);
  EXPECT_EQ(state().phase, cluster::RunPhase::kPaused);
  EXPECT_EQ(run(FastClock(), [](const std::string&) { return "cancel"; }), kExitSaved);
  EXPECT_EQ(state().attempts.at(1).ended->cause, cluster::EndCause::kCancel);
  EXPECT_EQ(state().phase, cluster::RunPhase::kCancelled);
  EXPECT_EQ(run(FastClock(), [](const std::string&) { return "linger"; }), kExitFinished);
  EXPECT_EQ(state().attempts.size(), 3U);
}

TEST_F(LocalRunTest, ARequestToAnAttemptThatDiedStopsNoLaterOne) {
  EXPECT_THROW(run("die"), Error);
  std::string log = read_text_file(run_.events());
  log.resize(log.rfind('\n', log.size() - 2) + 1);  // as if Stoa had been killed, too
  std::ofstream(run_.events(), std::ios::trunc) << log;
  cluster::RunRecord(run_.events()).append(cluster::UserAsked{1764000011, cluster::UserRequest::kPause, "alice"});
  EXPECT_EQ(run(FastClock(), [](const std::string&) { return "linger"; }), kExitFinished);
  EXPECT_EQ(state().attempts.size(), 2U);
}

TEST_F(LocalRunTest, RefusesToGoOnWithAnotherModelAndAllowsMoreSteps) {
  run("finish");
  try {
    run("finish", {"model.layers=2", "optimizer.learning_rate=1", "training.steps=5", "parallel.data=1",
                   "checkpoint.every_steps=2"});
    FAIL() << "returned";
  } catch (const ConfigError& failure) {
    EXPECT_EQ(
        failure.what(),
        run_.spec().string() +
            ": this run was begun by another experiment: model.layers was 1 and is 2, optimizer.learning_rate was "
            "0.0003 and is 1; give this one another name or run_directory");
  }
}

TEST_F(LocalRunTest, GoesOnWithAMachineThatIsGivenAsAFileAndRefusesAnother) {
  const std::string file = (folder_ / "machines/local.yaml").string();
  EXPECT_EQ(run("finish", {"cluster.machine=" + file}), kExitFinished);
  EXPECT_EQ(read_experiment(run_.spec()).cluster.machine, "local");
  EXPECT_EQ(run("finish", {"cluster.machine=" + file, "training.steps=4"}), kExitFinished);
  EXPECT_EQ(run("finish", {"cluster.machine=local", "training.steps=5"}), kExitFinished);
  EXPECT_EQ(state().attempts.size(), 3U);
  std::filesystem::copy(file, folder_ / "machines/other.yaml");
  EXPECT_THROW(run("finish", {"cluster.machine=other", "training.steps=6"}), ConfigError);
}

TEST_F(LocalRunTest, TwoAtOnceInOneDirectoryAreRefusedWithTheOthersNumber) {
  std::filesystem::create_directories(run_.path);
  const RunLock held(run_.lock());
  try {
    run("finish");
    FAIL() << "returned";
  } catch (const ResourceError& failure) {
    EXPECT_EQ(failure.what(),
              fmt::format("{}: this run is at work already, started by process {}", run_.lock().string(), ::getpid()));
  }
}

TEST_F(LocalRunTest, CountsAnAttemptByItsReportWhenOnlyStoaWasKilled) {
  run("finish");
  {
    cluster::RunRecord record(run_.events());
    record.append(
        cluster::AttemptStarted{.attempt = "2", .time = 1764000010, .ranks = 1, .resources = 1, .host = "h", .pid = 1});
  }
  std::string outcome = read_text_file(run_.outcome());
  outcome.replace(outcome.find("\"1\""), 3, "\"2\"");
  write_file_durably(run_.outcome(), outcome);
  EXPECT_EQ(run("finish"), kExitFinished);
  EXPECT_EQ(state().attempts.at(1).ended->outcome, cluster::AttemptOutcome::kFinished);
}

TEST_F(LocalRunTest, TextMayBeAFolderAPatternOrAFile) {
  std::ofstream(folder_ / "b.txt") << "b";
  const std::string folder = folder_.string();
  const std::vector<std::string> both = {folder + "/b.txt", folder + "/text.txt"};
  EXPECT_EQ(text_files({folder}), both);
  EXPECT_EQ(text_files({folder + "/*.txt"}), both);
  EXPECT_EQ(text_files({folder + "/text.txt"}), std::vector<std::string>{folder + "/text.txt"});
  EXPECT_THROW(text_files({folder + "/c.txt"}), DataError);
  for (const char* name : {"a.jsonl.zst", "c.ndjson", "d.jsonl.gz", "e.json", "f.txt.partial"})
    std::ofstream(folder_ / name) << "x";
  EXPECT_EQ(text_files({folder}), (std::vector<std::string>{folder + "/a.jsonl.zst", both[0], folder + "/c.ndjson",
                                                            folder + "/d.jsonl.gz", both[1]}));
}

}  // namespace
}  // namespace stoa::launcher

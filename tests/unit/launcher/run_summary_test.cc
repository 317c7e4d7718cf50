#include "stoa/launcher/run_summary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <fstream>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/launcher/run_directory.h"

namespace stoa::launcher {
namespace {

using cluster::AttemptOutcome;
using cluster::EndCause;
using testing::HasSubstr;

constexpr double kBegin = 1764000000;

RunSummary at_work(const std::string& phase, const std::string& note = "") {
  return {.phase = phase, .job = "812", .note = note};
}

JobViews queued(const std::string& state, const std::string& reason = "", double start = 0) {
  JobViews views;
  views.queued["812"] = {.id = "812", .state = state, .reason = reason, .start = start};
  return views;
}

TEST(RunSummary, AStateIsWhatTheRunAndItsJobSayTogether) {
  EXPECT_EQ(state_text(at_work("running"), queued("RUNNING")), "running");
  EXPECT_EQ(state_text(at_work("queued"), queued("RUNNING")), "starting");
  EXPECT_EQ(state_text(at_work("running"), queued("COMPLETING")), "ending");
  EXPECT_EQ(state_text(at_work("queued"), queued("PENDING", "Priority")), "waiting: Priority");
  EXPECT_EQ(state_text(at_work("queued"), queued("PENDING", "AssocGrpCPUMinutesLimit")),
            "waiting, out of budget: AssocGrpCPUMinutesLimit");
  EXPECT_EQ(state_text(at_work("queued"), queued("PENDING", "QOSMaxGRESPerUser")),
            "waiting, out of budget: QOSMaxGRESPerUser");
  for (const char* lost : {"TIMEOUT", "NODE_FAIL", "FAILED", "CANCELLED", "OUT_OF_MEMORY", "PREEMPTED", "BOOT_FAIL",
                           "DEADLINE", "COMPLETED"})
    EXPECT_EQ(state_text(at_work("running"), queued(lost)), std::string("lost: job 812 ") + lost);
}

TEST(RunSummary, AJobThatSlurmStillHasIsNotLost) {
  EXPECT_EQ(state_text(at_work("queued"), queued("CONFIGURING")), "starting");
  for (const char* alive : {"SUSPENDED", "STOPPED", "REQUEUED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD",
                            "SIGNALING", "RESIZING", "STAGE_OUT"})
    EXPECT_EQ(state_text(at_work("running"), queued(alive)), std::string("running: job 812 ") + alive);
}

TEST(RunSummary, AnExpectedStartIsToldInLocalTime) {
  const std::time_t start = 1764000300;
  std::tm parts{};
  ::localtime_r(&start, &parts);
  char text[64];
  std::strftime(text, sizeof text, "waiting: Resources, expected %F %H:%M", &parts);
  EXPECT_EQ(state_text(at_work("queued"), queued("PENDING", "Resources", double(start))), text);
}

TEST(RunSummary, AJobThatLeftTheQueueIsLostAsItsAccountsSay) {
  JobViews views;
  views.ended["812"] = {.id = "812", .state = "OUT_OF_MEMORY", .exit_code = "0:125"};
  EXPECT_EQ(state_text(at_work("running"), views), "lost: job 812 OUT_OF_MEMORY, exit code 0:125");
  EXPECT_EQ(state_text(at_work("running"), {}), "running, unknown to Slurm");
  EXPECT_EQ(state_text(at_work("queued"), {.unreachable = "no answer"}), "queued, as recorded");
}

TEST(RunSummary, ARunThatIsNotAtWorkTellsItsNote) {
  EXPECT_EQ(state_text(at_work("held", "the allocation is used up"), queued("RUNNING")),
            "held: the allocation is used up");
  EXPECT_EQ(state_text(at_work("finished", "old"), {}), "finished");
  EXPECT_EQ(state_text(at_work("saved"), {}), "saved");
  EXPECT_EQ(state_text({.phase = "running"}, {}), "running");
}

TEST(RunSummary, TheArrivalIsTheStepsThatAreLeftAndTheGapsBetweenJobs) {
  const RunSummary run{.step = 33, .steps = 133, .step_s = 7, .gap_s = 77};
  EXPECT_EQ(arrival(run, 0, 0)->seconds, 700);
  EXPECT_EQ(arrival(run, 0, 0)->more_jobs, 0);
  EXPECT_EQ(arrival(run, 700, 300)->more_jobs, 0);
  EXPECT_EQ(arrival(run, 700, 300)->seconds, 700);
  EXPECT_EQ(arrival(run, 699, 300)->more_jobs, 1);
  EXPECT_EQ(arrival(run, 699, 300)->seconds, 777);
  EXPECT_EQ(arrival(run, 100, 300)->more_jobs, 2);
  EXPECT_EQ(arrival(run, 99, 300)->more_jobs, 3);
  EXPECT_EQ(arrival(run, 99, 300)->seconds, 700 + 3 * 77);
}

TEST(RunSummary, ThereIsNoArrivalBeforeAStepOrAfterTheLast) {
  EXPECT_FALSE(arrival({.step = 0, .steps = 133}, 0, 0));
  EXPECT_FALSE(arrival({.step = 133, .steps = 133, .step_s = 7}, 0, 0));
  EXPECT_FALSE(arrival({.step = 134, .steps = 133, .step_s = 7}, 0, 0));
}

class RunSummaries : public testing::Test {
 protected:
  RunSummaries() : folder_(std::filesystem::temp_directory_path() / ("stoa_summary_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~RunSummaries() override { std::filesystem::remove_all(folder_); }

  RunDirectory make_run(const std::string& name) {
    const RunDirectory run{folder_ / name};
    std::filesystem::create_directories(run.machines());
    std::filesystem::copy(std::filesystem::path(STOA_CONFIGS_DIRECTORY) / "machines/local.yaml", run.machines());
    std::ofstream(run.spec()) << fmt::format(
        "name: {0}\nrun_directory: {1}\nmodel: {{family: llama, layers: 1, width: 33, heads: 3, head_width: 2, "
        "vocabulary_size: 261, context_length: 5}}\ndata: {{prefix: {1}/corpus, tokenizer: {1}/tokenizer.json}}\n"
        "training: {{steps: 133, global_batch: 1}}\ncluster: {{machine: local}}\n",
        name, run.path.string());
    cluster::RunRecord record(run.events());
    record.append(cluster::RunCreated{name, kBegin});
    registry_.add(run.path);
    return run;
  }
  static void start(const RunDirectory& run, const std::string& attempt, double time) {
    cluster::RunRecord(run.events())
        .append(cluster::AttemptStarted{.attempt = attempt, .time = time, .ranks = 3, .resources = 7, .host = "h"});
  }
  static void end(const RunDirectory& run, const std::string& attempt, double time, AttemptOutcome outcome,
                  EndCause cause, const std::string& message = "") {
    cluster::RunRecord(run.events())
        .append(cluster::AttemptEnded{.attempt = attempt,
                                      .time = time,
                                      .outcome = outcome,
                                      .cause = cause,
                                      .step = 33,
                                      .energy_j = 777,
                                      .energy_source = "modelled",
                                      .message = message});
  }
  std::vector<RunSummary> all() {
    read_ = 0;
    return summarize_all(registry_, clock_, [this](std::size_t, std::size_t) { ++read_; });
  }

  std::filesystem::path folder_;
  cluster::RunRegistry registry_{folder_ / "state"};
  FakeClock clock_{kBegin + 777};
  int read_ = 0;
};

TEST_F(RunSummaries, TellOfARunWhatItsRecordAndItsMetricsSay) {
  const RunDirectory run = make_run("a");
  start(run, "1", kBegin + 10);
  end(run, "1", kBegin + 110, AttemptOutcome::kSaved, EndCause::kTimeLimit);
  start(run, "2", kBegin + 177);
  std::ofstream metrics(run.metrics());
  for (int step = 1; step <= 777; ++step)
    metrics << fmt::format(
        R"({{"kind":"step","step":{0},"steps":133,"loss":2.5,"gradient_norm":1,"parameter_norm":1,"learning_rate":1e-4,)"
        R"("consumed_tokens":{0},"step_s":0.125,"tokens_per_s":10,"model_flops_utilisation":0.4,"peak_gflops":5,)"
        R"("resident_bytes":1,"energy_j":{0},"energy_source":"modelled","skipped":"","attempt":"2","time":{1}}})"
        "\n",
        step, 1764000177 + step);
  metrics.close();
  const RunSummary summary = summarize(run.path, clock_);
  EXPECT_EQ(summary.name, "a");
  EXPECT_EQ(summary.phase, "running");
  EXPECT_EQ(summary.attempts, 2);
  EXPECT_EQ(summary.step, 777);
  EXPECT_EQ(summary.steps, 133);
  EXPECT_EQ(summary.step_s, 0.125);
  EXPECT_EQ(summary.gap_s, 67);
  EXPECT_EQ(summary.resources, 7);
  EXPECT_EQ(summary.attempt_began, kBegin + 177);
  EXPECT_GT(summary.money_micros, 0);
  EXPECT_TRUE(summary.is_open());
}

TEST_F(RunSummaries, ComeInTheirOrderWithTheWordsOfTheirEnd) {
  const RunDirectory lost = make_run("lost");
  start(lost, "1", kBegin + 10);
  end(lost, "1", kBegin + 20, AttemptOutcome::kLost, EndCause::kHang, "rank 2 is silent\nand more");
  const RunDirectory held = make_run("held");
  start(held, "1", kBegin + 10);
  end(held, "1", kBegin + 20, AttemptOutcome::kFailed, EndCause::kError, "why");
  cluster::RunRecord(held.events()).append(cluster::RunHeld{kBegin + 21, "the allocation is used up"});
  make_run("new");
  const auto runs = all();
  ASSERT_EQ(runs.size(), 3u);
  EXPECT_EQ(runs[0].note, "hang: rank 2 is silent");
  EXPECT_EQ(runs[1].note, "the allocation is used up");
  EXPECT_EQ(runs[2].phase, "created");
  EXPECT_EQ(read_, 3);
}

TEST_F(RunSummaries, OfARunWhoseLogHasNotChangedComeFromTheCache) {
  const RunDirectory run = make_run("a");
  start(run, "1", kBegin + 10);
  end(run, "1", kBegin + 20.25, AttemptOutcome::kSaved, EndCause::kPause, "odd \x1f and \"quoted\"");
  const RunDirectory open = make_run("open");
  start(open, "1", kBegin + 10);
  const auto first = all();
  EXPECT_EQ(read_, 2);
  std::ofstream(run.spec()) << "garbage: [";
  const auto second = all();
  EXPECT_EQ(read_, 1);  // the run that is open is read each time
  ASSERT_EQ(second.size(), 2u);
  EXPECT_EQ(second[0].directory, run.path);
  EXPECT_EQ(second[0].name, first[0].name);
  EXPECT_EQ(second[0].phase, "saved");
  EXPECT_EQ(second[0].attempts, first[0].attempts);
  EXPECT_EQ(second[0].step, 33);
  EXPECT_EQ(second[0].steps, 133);
  EXPECT_EQ(second[0].changed, kBegin + 20.25);
  EXPECT_EQ(second[0].money_micros, first[0].money_micros);
  EXPECT_GT(second[0].money_micros, 0);
  EXPECT_EQ(second[0].currency, first[0].currency);
  EXPECT_EQ(second[0].note, "pause: odd   and \"quoted\"");
}

TEST_F(RunSummaries, OfARunWhoseLogHasChangedAreReadAgain) {
  const RunDirectory run = make_run("a");
  start(run, "1", kBegin + 10);
  end(run, "1", kBegin + 20, AttemptOutcome::kSaved, EndCause::kPause);
  all();
  all();
  EXPECT_EQ(read_, 0);
  cluster::RunRecord(run.events()).append(cluster::RunHeld{kBegin + 33, "a reason"});
  EXPECT_EQ(all().at(0).phase, "held");
  EXPECT_EQ(read_, 1);
}

TEST_F(RunSummaries, LeaveOutADirectoryThatVanished) {
  const RunDirectory gone = make_run("gone");
  make_run("here");
  ASSERT_EQ(all().size(), 2u);
  std::filesystem::remove_all(gone.path);
  const auto runs = all();
  ASSERT_EQ(runs.size(), 1u);
  EXPECT_EQ(runs[0].name, "here");
}

TEST_F(RunSummaries, ARunThatCannotBeReadStandsAmongTheOthersWithTheReason) {
  const RunDirectory bad = make_run("bad");
  const RunDirectory good = make_run("good");
  std::ofstream(bad.events(), std::ios::app) << "garbage\n";
  for (int times = 0; times < 2; ++times) {
    const auto runs = all();
    ASSERT_EQ(runs.size(), 2u);
    EXPECT_EQ(runs[0].phase, "unreadable");
    EXPECT_EQ(runs[0].name, "bad");
    EXPECT_THAT(runs[0].note, HasSubstr(bad.events().string() + ":2"));
    EXPECT_EQ(runs[1].name, "good");
  }
}

TEST_F(RunSummaries, ACacheThatIsSpoiltOrOfAnotherVersionIsReadPast) {
  make_run("a");
  const auto before = all();
  const std::filesystem::path cache = registry_.folder() / "status-cache";
  const std::string text = read_text_file(cache);
  for (const std::string& spoilt : {std::string("stoa-status-9\n") + text.substr(text.find('\n') + 1),
                                    std::string("\xff\0garbage", 9), text.substr(0, text.size() / 2),
                                    std::string("stoa-status-1\na\x1f"
                                                "b\n")}) {
    std::ofstream(cache, std::ios::trunc) << spoilt;
    const auto runs = all();
    EXPECT_EQ(read_, 1);
    ASSERT_EQ(runs.size(), 1u);
    EXPECT_EQ(runs[0].phase, "created");
    all();
    EXPECT_EQ(read_, 0);
  }
}

TEST_F(RunSummaries, AFolderWithoutARunIsRefused) {
  try {
    summarize(folder_, clock_);
    FAIL() << "a summary of nothing";
  } catch (const DataError& failure) {
    EXPECT_THAT(failure.what(), HasSubstr("there is no events.jsonl in it"));
  }
}

}  // namespace
}  // namespace stoa::launcher

#include "stoa/cluster/run_record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <limits>

#include "stoa/base/error.h"

namespace stoa::cluster {
namespace {

using testing::HasSubstr;

AttemptStarted started(const std::string& attempt, double time) {
  return {.attempt = attempt, .time = time, .ranks = 2, .resources = 2, .host = "node1", .pid = 4711};
}

AttemptEnded ended(const std::string& attempt, double time, AttemptOutcome outcome, std::int64_t step = 33) {
  return {.attempt = attempt,
          .time = time,
          .outcome = outcome,
          .step = step,
          .energy_j = 100,
          .energy_source = "modelled",
          .message = "a \"quoted\"\nmessage"};
}

std::vector<RunEvent> long_life() {
  return {RunCreated{"quickstart", 1000},
          started("1", 1001),
          ended("1", 1010.5, AttemptOutcome::kSaved),
          started("2", 1011),
          ended("2", 1020, AttemptOutcome::kLost, 65),
          started("3", 1030),
          ended("3", 1031, AttemptOutcome::kFailed, 65),
          started("4", 1040),
          ended("4", 1060, AttemptOutcome::kFinished, 257)};
}

std::string text_of(const std::vector<RunEvent>& events) {
  std::string text;
  for (const RunEvent& event : events) text += to_line(event) + '\n';
  return text;
}

std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

std::string fold_error(const std::string& text) {
  return error_of([&] { fold_events(text, "events.jsonl"); });
}

class RunRecordFile : public testing::Test {
 protected:
  RunRecordFile() : path_(testing::TempDir() + "/events" + std::to_string(::getpid()) + ".jsonl") {
    std::filesystem::remove(path_);
  }
  ~RunRecordFile() override { std::filesystem::remove(path_); }
  std::filesystem::path path_;
};

TEST(RunRecord, FoldsALifeToItsAttempts) {
  const RunState state = fold_events(text_of(long_life()), "events.jsonl");
  EXPECT_EQ(state.phase, RunPhase::kFinished);
  EXPECT_EQ(state.run, "quickstart");
  ASSERT_EQ(state.attempts.size(), 4u);
  EXPECT_EQ(state.attempts[1].started.attempt, "2");
  EXPECT_EQ(state.attempts[1].ended->outcome, AttemptOutcome::kLost);
  EXPECT_EQ(state.attempts[3].ended->step, 257);
  EXPECT_EQ(state.attempts[0].ended->message, "a \"quoted\"\nmessage");
}

TEST(RunRecord, EveryPrefixOfALogFolds) {
  const std::string text = text_of(long_life());
  std::size_t most_attempts = 0;
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const RunState state = fold_events(std::string_view(text).substr(0, size), "events.jsonl");
    ASSERT_GE(state.attempts.size(), most_attempts);
    most_attempts = state.attempts.size();
  }
  EXPECT_EQ(most_attempts, 4u);
}

TEST(RunRecord, WhatTheTableDoesNotAllowIsRefusedWithItsLine) {
  const std::string created = to_line(RunCreated{"r", 1}) + '\n';
  const std::string start = to_line(started("1", 2)) + '\n';
  const std::string end = to_line(ended("1", 3, AttemptOutcome::kSaved)) + '\n';
  EXPECT_EQ(fold_error(start), "events.jsonl:1: attempt 1 cannot start: the run is absent");
  EXPECT_EQ(fold_error(created + created), "events.jsonl:2: the run cannot be created: the run is created");
  EXPECT_EQ(fold_error(created + end), "events.jsonl:2: attempt 1 cannot end as saved: the run is created");
  EXPECT_EQ(fold_error(created + start + to_line(started("2", 3)) + '\n'),
            "events.jsonl:3: attempt 2 cannot start: the run is running");
  EXPECT_EQ(fold_error(created + start + end + end), "events.jsonl:4: attempt 1 cannot end as saved: the run is saved");
}

TEST(RunRecord, AnAttemptStartsOnceAndEndsUnderItsOwnName) {
  const std::string begin = text_of({RunCreated{"r", 1}, started("1", 2)});
  EXPECT_THAT(fold_error(begin + to_line(ended("2", 3, AttemptOutcome::kFailed)) + '\n'),
              HasSubstr("events.jsonl:3: attempt 2 cannot end as failed: attempt 1 is running"));
  EXPECT_THAT(fold_error(begin + text_of({ended("1", 3, AttemptOutcome::kFailed), started("1", 4)})),
              HasSubstr("events.jsonl:4: attempt 1 has started before"));
}

TEST(RunRecord, AFinishedRunGoesOnWhenAskedForMore) {
  std::vector<RunEvent> events = long_life();
  events.push_back(started("5", 2000));
  EXPECT_EQ(fold_events(text_of(events), "events.jsonl").phase, RunPhase::kRunning);
}

TEST(RunRecord, LinesThatCannotBeReadAreNamed) {
  const std::string created = to_line(RunCreated{"r", 1}) + '\n';
  EXPECT_THAT(fold_error(created + "garbage\n"), HasSubstr("events.jsonl:2:"));
  EXPECT_THAT(fold_error(created + "\n"), HasSubstr("events.jsonl:2:"));
  EXPECT_THAT(fold_error(created + "[1]\n"), HasSubstr("events.jsonl:2: expected an object"));
  EXPECT_THAT(fold_error(created + R"({"event":"exploded"})"
                                   "\n"),
              HasSubstr("event 'exploded' is none of"));
  EXPECT_THAT(fold_error(created + R"({"event":"attempt_started","attempt":1})"
                                   "\n"),
              HasSubstr("events.jsonl:2: 'attempt' must be a string, found 1"));
}

TEST(RunRecord, ALogOfALaterVersionIsRefusedAndAKeyOfALaterOneIgnored) {
  EXPECT_EQ(fold_error(R"({"event":"created","version":3,"run":"r","time":1})"
                       "\n"),
            "events.jsonl:1: the log has version 3, this Stoa reads 1 to 2");
  EXPECT_EQ(fold_events(R"({"event":"created","version":1,"run":"r","time":1,"mood":"fine"})"
                        "\n",
                        "p")
                .run,
            "r");
}

TEST(RunRecord, ImpossibleValuesAreRefused) {
  RunState state;
  EXPECT_THROW(apply(state, RunCreated{"r", std::numeric_limits<double>::quiet_NaN()}, "p"), DataError);
  EXPECT_THROW(apply(state, RunCreated{"r", 1e300}, "p"), DataError);
  apply(state, RunCreated{"r", 1}, "p");
  AttemptStarted nobody = started("1", 2);
  nobody.ranks = 0;
  EXPECT_THROW(apply(state, nobody, "p"), DataError);
  apply(state, started("1", 2), "p");
  AttemptEnded endless = ended("1", 3, AttemptOutcome::kSaved);
  endless.energy_j = std::numeric_limits<double>::infinity();
  EXPECT_THROW(apply(state, endless, "p"), DataError);
}

TEST(RunRecord, AttemptsThatEndedCanBePriced) {
  std::vector<RunEvent> events = long_life();
  events.push_back(started("5", 2000));
  const std::vector<UsageRecord> records = usage_records(fold_events(text_of(events), "events.jsonl"));
  ASSERT_EQ(records.size(), 4u);
  EXPECT_EQ(records[0].begin_unix_ms, 1001000);
  EXPECT_EQ(records[0].end_unix_ms, 1010500);
  EXPECT_EQ(records[0].resources, 2);
  EXPECT_EQ(records[0].energy_j, 100);
  EXPECT_EQ(records[3].attempt, "4");
}

TEST(RunRecord, AnAttemptWhoseClockWasSetBackTookNoTime) {
  const auto records = usage_records(
      fold_events(text_of({RunCreated{"r", 1}, started("1", 1000), ended("1", 900, AttemptOutcome::kSaved)}), "p"));
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].end_unix_ms, records[0].begin_unix_ms);
}

TEST_F(RunRecordFile, KilledAtAnyByteTheNextWriterGoesOn) {
  const std::string text = text_of(long_life());
  for (std::size_t size = 0; size <= text.size(); size += 7) {
    std::ofstream(path_, std::ios::trunc) << text.substr(0, size);
    RunRecord record(path_);
    if (record.state().phase == RunPhase::kAbsent) record.append(RunCreated{"again", 5000});
    record.close_lost_attempt({.time = 5001, .step = 1, .energy_j = 1, .energy_source = "modelled"});
    record.append(started("next", 5002));
    const RunState reread = read_run_state(path_);
    ASSERT_EQ(reread.phase, RunPhase::kRunning);
    ASSERT_EQ(reread.attempts.back().started.attempt, "next");
    ASSERT_EQ(reread.attempts.size(), record.state().attempts.size());
  }
}

TEST_F(RunRecordFile, ALostAttemptEndsWithItsLastSignOfLife) {
  RunRecord record(path_);
  record.append(RunCreated{"r", 1});
  record.append(started("1", 10));
  record.close_lost_attempt({.time = 44.5, .step = 33, .energy_j = 9, .energy_source = "modelled"});
  record.close_lost_attempt({.time = 99});
  const RunState state = read_run_state(path_);
  ASSERT_EQ(state.phase, RunPhase::kLost);
  EXPECT_EQ(state.attempts[0].ended->time, 44.5);
  EXPECT_EQ(state.attempts[0].ended->step, 33);
  EXPECT_EQ(state.attempts[0].ended->energy_j, 9);
}

TEST_F(RunRecordFile, AnAttemptThatGaveNoSignEndsWhereItBegan) {
  RunRecord record(path_);
  record.append(RunCreated{"r", 1});
  record.append(started("1", 10));
  record.close_lost_attempt({.time = 0});
  EXPECT_EQ(read_run_state(path_).attempts[0].ended->time, 10);
}

TEST_F(RunRecordFile, ARefusedEventLeavesFileAndStateAsTheyWere) {
  RunRecord record(path_);
  record.append(RunCreated{"r", 1});
  EXPECT_THROW(record.append(ended("1", 2, AttemptOutcome::kSaved)), DataError);
  EXPECT_EQ(record.state().phase, RunPhase::kCreated);
  EXPECT_EQ(read_run_state(path_).phase, RunPhase::kCreated);
}

TEST_F(RunRecordFile, AnAbsentLogIsARunThatWasNotCreated) {
  EXPECT_EQ(read_run_state(path_).phase, RunPhase::kAbsent);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST(RunRecord, AMessageThatIsNotTextStaysReadable) {
  AttemptEnded event = ended("1", 3, AttemptOutcome::kFailed);
  event.message = "bad \xff byte";
  const RunState state = fold_events(text_of({RunCreated{"r", 1}, started("1", 2), event}), "p");
  EXPECT_THAT(state.attempts[0].ended->message, HasSubstr("bad "));
}

}  // namespace
}  // namespace stoa::cluster

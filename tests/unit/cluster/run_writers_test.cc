/// Several writers of one event log.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/cluster/run_record.h"

namespace stoa::cluster {
namespace {

AttemptStarted started(const std::string& attempt, double time) {
  return {.attempt = attempt, .time = time, .ranks = 3, .resources = 3, .host = "node1", .pid = 4711};
}

class RunWriters : public testing::Test {
 protected:
  RunWriters() : folder_(std::filesystem::temp_directory_path() / ("stoa_run_writers_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~RunWriters() override { std::filesystem::remove_all(folder_); }
  std::filesystem::path folder_;
  std::filesystem::path path_ = folder_ / "events.jsonl";
};

TEST_F(RunWriters, SeeWhatTheOtherAppended) {
  RunRecord supervisor(path_);
  RunRecord user(path_);
  supervisor.append(RunCreated{"r", 1});
  EXPECT_EQ(user.state().phase, RunPhase::kAbsent);
  user.append(JobSubmitted{.time = 2, .job = "812"});
  EXPECT_EQ(user.state().run, "r");
  supervisor.append(started("812.0.1", 3));
  EXPECT_EQ(supervisor.state().job->job, "812");
  user.append(UserAsked{4, UserRequest::kPause, "alice"});
  EXPECT_FALSE(supervisor.state().asked);
  supervisor.refresh();
  ASSERT_TRUE(supervisor.state().asked);
  EXPECT_EQ(supervisor.state().asked->user, "alice");
  EXPECT_EQ(read_run_state(path_).phase, RunPhase::kRunning);
}

TEST_F(RunWriters, TheSecondOfTwoEventsThatExcludeEachOtherIsRefused) {
  RunRecord first(path_);
  RunRecord second(path_);
  first.append(RunCreated{"r", 1});
  EXPECT_THROW(second.append(RunCreated{"r", 2}), DataError);
  first.append(started("1", 3));
  const std::string before = read_text_file(path_);
  try {
    second.append(started("2", 4));
    FAIL() << "two attempts at once";
  } catch (const DataError& failure) {
    EXPECT_THAT(failure.what(), testing::HasSubstr("attempt 2 cannot start: the run is running"));
  }
  EXPECT_EQ(read_text_file(path_), before);
  EXPECT_EQ(second.state().attempts.size(), 1u);
  EXPECT_EQ(second.state().phase, RunPhase::kRunning);
}

TEST_F(RunWriters, ATornLastLineIsNoEventForOneAndIsCutOffByTheOther) {
  RunRecord one(path_);
  one.append(RunCreated{"r", 1});
  std::ofstream(path_, std::ios::app) << to_line(started("torn", 2)).substr(0, 33);
  one.refresh();
  EXPECT_EQ(one.state().phase, RunPhase::kCreated);
  RunRecord other(path_);
  other.append(started("1", 3));
  one.refresh();
  ASSERT_EQ(one.state().attempts.size(), 1u);
  EXPECT_EQ(one.state().attempts[0].started.attempt, "1");
  EXPECT_EQ(read_text_file(path_), to_line(RunCreated{"r", 1}) + '\n' + to_line(started("1", 3)) + '\n');
}

TEST_F(RunWriters, ALineThatIsWholeOnlyLaterIsReadThen) {
  RunRecord one(path_);
  one.append(RunCreated{"r", 1});
  const std::string line = to_line(started("1", 2)) + '\n';
  std::ofstream(path_, std::ios::app) << line.substr(0, 7);
  one.refresh();
  EXPECT_EQ(one.state().phase, RunPhase::kCreated);
  std::ofstream(path_, std::ios::app) << line.substr(7);
  one.refresh();
  EXPECT_EQ(one.state().phase, RunPhase::kRunning);
}

TEST_F(RunWriters, LoseNoEventWhenTheyAppendAtOnce) {
  constexpr int kEach = 33;
  {
    RunRecord record(path_);
    record.append(RunCreated{"r", 1});
    record.append(started("1", 2));
  }
  const auto write = [this](const std::string& name) {
    RunRecord record(path_);
    for (int i = 0; i < kEach; ++i) record.append(NodeExcluded{3, name, std::to_string(i)});
  };
  std::vector<std::thread> writers;
  for (const char* name : {"a", "b", "c"}) writers.emplace_back(write, name);
  for (std::thread& writer : writers) writer.join();
  std::map<std::string, int> next;
  for (const NodeExcluded& each : read_run_state(path_).excluded)
    EXPECT_EQ(each.reason, std::to_string(next[each.node]++));
  EXPECT_EQ(next, (std::map<std::string, int>{{"a", kEach}, {"b", kEach}, {"c", kEach}}));
}

TEST_F(RunWriters, AnAttemptWhoseFolderIsGoneCannotWriteAnyMore) {
  RunRecord record(path_);
  record.append(RunCreated{"r", 1});
  std::filesystem::remove_all(folder_);
  EXPECT_THROW(record.append(started("1", 2)), StorageError);
  EXPECT_EQ(record.state().phase, RunPhase::kCreated);
  EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(RunWriters, ALogThatSomethingCutOffIsNotWrittenOn) {
  RunRecord record(path_);
  record.append(RunCreated{"r", 1});
  std::filesystem::resize_file(path_, 7);
  EXPECT_THROW(record.refresh(), StorageError);
  EXPECT_THROW(record.append(started("1", 2)), StorageError);
  EXPECT_EQ(std::filesystem::file_size(path_), 7u);
}

}  // namespace
}  // namespace stoa::cluster

#include "stoa/cluster/run_registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

#include "stoa/base/durable_file.h"

namespace stoa::cluster {
namespace {

using testing::ElementsAre;
using Path = std::filesystem::path;

class RunRegistryTest : public testing::Test {
 protected:
  RunRegistryTest()
      : folder_(std::filesystem::temp_directory_path() / ("stoa_registry_" + std::to_string(::getpid()))) {
    std::filesystem::create_directories(folder_);
  }
  ~RunRegistryTest() override { std::filesystem::remove_all(folder_); }
  Path folder_;
};

TEST_F(RunRegistryTest, IsEmptyBeforeTheFirstRunAndMakesNoFolder) {
  EXPECT_TRUE(RunRegistry(folder_ / "state").runs().empty());
  EXPECT_FALSE(std::filesystem::exists(folder_ / "state"));
}

TEST_F(RunRegistryTest, KeepsRunsInTheirOrderAndEachOnce) {
  const RunRegistry registry(folder_ / "state/stoa");
  for (const char* run : {"/runs/c", "/runs/a", "/runs/b", "/runs/a", "/runs/c"}) registry.add(run);
  EXPECT_THAT(RunRegistry(folder_ / "state/stoa").runs(), ElementsAre("/runs/c", "/runs/a", "/runs/b"));
}

TEST_F(RunRegistryTest, APathMayHoldWhateverAFileNameMay) {
  const RunRegistry registry(folder_);
  const std::vector<Path> odd = {"/runs/two\nlines",      "/runs/a \"quoted\" name", "/runs/\\back\\slash",
                                 "/runs/tab\tand\x1f",    "/runs/Übermaß 数据",      "/runs/$(reboot)",
                                 "/runs/trailing space ", "/runs/{\"a\":1}"};
  for (const Path& run : odd) registry.add(run);
  for (const Path& run : odd) registry.add(run);
  EXPECT_EQ(registry.runs(), odd);
}

TEST_F(RunRegistryTest, WhatCannotBeWrittenIsPassedOver) {
  std::ofstream(folder_ / "file") << "no folder";
  const RunRegistry under_a_file(folder_ / "file/stoa");
  under_a_file.add("/runs/a");
  EXPECT_TRUE(under_a_file.runs().empty());
  std::filesystem::create_directories(folder_ / "taken/runs");
  const RunRegistry taken(folder_ / "taken");
  taken.add("/runs/a");
  EXPECT_TRUE(taken.runs().empty());
}

TEST_F(RunRegistryTest, ATornLastLineIsNoRunAndIsCutOffByTheNext) {
  std::ofstream(folder_ / "runs") << "\"/runs/a\"\n\"/runs/to";
  const RunRegistry registry(folder_);
  EXPECT_THAT(registry.runs(), ElementsAre("/runs/a"));
  registry.add("/runs/b");
  EXPECT_THAT(registry.runs(), ElementsAre("/runs/a", "/runs/b"));
}

TEST_F(RunRegistryTest, ALineThatIsNoPathTakesNothingFromTheOthers) {
  std::ofstream(folder_ / "runs") << "\"/runs/a\"\n17\ngarbage\n\n\"/runs/b\"\n";
  const RunRegistry registry(folder_);
  EXPECT_THAT(registry.runs(), ElementsAre("/runs/a", "/runs/b"));
  registry.add("/runs/c");
  EXPECT_THAT(registry.runs(), ElementsAre("/runs/a", "/runs/b", "/runs/c"));
}

TEST_F(RunRegistryTest, StandsInTheStateFolderOfTheEnvironmentOrOfTheHome) {
  const std::string before = std::getenv("XDG_STATE_HOME") == nullptr ? "" : std::getenv("XDG_STATE_HOME");
  const std::string home = std::getenv("HOME") == nullptr ? "" : std::getenv("HOME");
  ::setenv("XDG_STATE_HOME", folder_.c_str(), 1);
  EXPECT_EQ(RunRegistry().folder(), folder_ / "stoa");
  ::setenv("HOME", "/home/alice", 1);
  for (const char* no_folder : {"", "relative/state"}) {
    ::setenv("XDG_STATE_HOME", no_folder, 1);
    EXPECT_EQ(RunRegistry().folder(), "/home/alice/.local/state/stoa");
  }
  before.empty() ? ::unsetenv("XDG_STATE_HOME") : ::setenv("XDG_STATE_HOME", before.c_str(), 1);
  ::setenv("HOME", home.c_str(), 1);
}

}  // namespace
}  // namespace stoa::cluster

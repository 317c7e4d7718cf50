#include "stoa/base/process.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "stoa/base/error.h"

namespace stoa {
namespace {

ProcessSettings shell(const std::string& script) {
  return {.argv = {"/bin/sh", "-c", script}, .environment = {}, .standard_output = ProcessSettings::Output::kPipe};
}

/// The next line of the child's output; waits for it or the end of the stream, at most 10 s.
std::string read_line(const Process& process) {
  std::string line;
  for (;;) {
    pollfd ready{.fd = process.output(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, 10'000) != 1) return line + "(nothing for 10 s)";
    char byte = 0;
    if (::read(process.output(), &byte, 1) != 1 || byte == '\n') return line;
    line += byte;
  }
}

TEST(Process, GivesItsOutputAndItsExitCode) {
  Process process(shell("echo one; exit 33"));
  EXPECT_EQ(read_line(process), "one");
  const ProcessEnd end = process.wait();
  EXPECT_EQ(end.exit_code, 33);
  EXPECT_EQ(end.signal, 0);
}

TEST(Process, AddsToTheEnvironmentAndReplacesInIt) {
  ::setenv("STOA_TEST_OLD", "old", 1);
  ProcessSettings settings = shell("echo $STOA_TEST_OLD $STOA_TEST_NEW ${PATH:+path}");
  settings.environment = {{"STOA_TEST_OLD", "replaced"}, {"STOA_TEST_NEW", "new"}};
  Process process(settings);
  EXPECT_EQ(read_line(process), "replaced new path");
}

TEST(Process, NamesTheProgramThatIsNotThere) {
  try {
    Process process({.argv = {"/nowhere/stoa-train"}, .environment = {}});
    FAIL() << "started";
  } catch (const ResourceError& failure) {
    EXPECT_STREQ(failure.what(), "/nowhere/stoa-train: cannot be started: No such file or directory");
  }
}

TEST(Process, TellsTheSignalThatEndedIt) {
  Process process(shell("echo ready; exec sleep 100"));
  EXPECT_EQ(read_line(process), "ready");
  EXPECT_FALSE(process.poll());
  process.signal(SIGTERM);
  EXPECT_EQ(process.wait().signal, SIGTERM);
}

TEST(Process, LeavesNothingOfItsGroupBehind) {
  FileDescriptor rest;
  {
    // The grandchild holds the pipe's other end open for as long as it lives.
    Process process(shell("sleep 100 & echo $!; wait"));
    EXPECT_FALSE(read_line(process).empty());
    rest = FileDescriptor(::dup(process.output()));
  }
  pollfd ended{.fd = rest.get(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&ended, 1, 10'000), 1);
  char byte = 0;
  EXPECT_EQ(::read(rest.get(), &byte, 1), 0);
}

TEST(Process, FindsProgramsAsAShellDoes) {
  EXPECT_TRUE(find_program("sh"));
  EXPECT_FALSE(find_program("stoa-no-such-program"));
  EXPECT_FALSE(find_program("/etc/passwd"));
  EXPECT_EQ(own_program().filename(), "base_tests");
}

TEST(LineBuffer, HandsOutWholeLinesOnly) {
  LineBuffer lines;
  lines.append("first\nsec");
  EXPECT_EQ(lines.next(), "first");
  EXPECT_EQ(lines.next(), std::nullopt);
  lines.append("ond\n\nthird");
  EXPECT_EQ(lines.next(), "second");
  EXPECT_EQ(lines.next(), "");
  EXPECT_EQ(lines.rest(), "third");
}

}  // namespace
}  // namespace stoa

#include "stoa/cluster/slurm_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/error.h"
#include "stoa/base/process.h"

namespace stoa::cluster {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(SlurmRequest, ASmallJobAsksForLittle) {
  const BatchJob job{.settings = resolved({}, {}),
                     .name = "quickstart",
                     .log = "/runs/quickstart/job-%j.log",
                     .folder = "/runs/quickstart",
                     .ranks = 3};
  EXPECT_THAT(sbatch_options(job), ElementsAre("--job-name=quickstart", "--output=/runs/quickstart/job-%j.log",
                                               "--open-mode=append", "--chdir=/runs/quickstart", "--nodes=3",
                                               "--ntasks-per-node=1", "--no-kill", "--signal=B:USR2@120", "--requeue"));
}

TEST(SlurmRequest, ALargeJobAsksForAllOfIt) {
  const SlurmSettings settings{.tasks_per_node = 4,
                               .cpus_per_task = 7,
                               .gpus_per_node = 4,
                               .spare_nodes = 1,
                               .memory_gib = 333,
                               .time_limit = "2-12:00:00",
                               .partition = "gpu,long",
                               .account = "project_a",
                               .qos = "normal",
                               .constraint = "a100&ib",
                               .reservation = "course",
                               .dependency = "afterok:812",
                               .begin = "now+1hour",
                               .exclude = "node[3-4]",
                               .licenses = "matlab:1",
                               .mail_type = "END,FAIL",
                               .mail_user = "alice@example.org",
                               .signal = "TERM",
                               .warning_s = 77,
                               .exclusive = true,
                               .continue_by = ContinueBy::kSuccessor};
  const BatchJob job{.settings = settings, .name = "a", .log = "/l", .folder = "/f", .ranks = 33, .exclude = "node7"};
  EXPECT_THAT(
      sbatch_options(job),
      ElementsAre("--job-name=a", "--output=/l", "--open-mode=append", "--chdir=/f", "--nodes=10",
                  "--ntasks-per-node=4", "--no-kill", "--signal=B:TERM@77", "--no-requeue", "--cpus-per-task=7",
                  "--gpus-per-node=4", "--mem=333G", "--time=2-12:00:00", "--partition=gpu,long", "--account=project_a",
                  "--qos=normal", "--constraint=a100&ib", "--reservation=course", "--dependency=afterok:812",
                  "--begin=now+1hour", "--exclude=node[3-4],node7", "--licenses=matlab:1", "--mail-type=END,FAIL",
                  "--mail-user=alice@example.org", "--exclusive"));
}

TEST(SlurmRequest, NodesThatStoaExcludedStandAloneWhereTheUserExcludesNone) {
  BatchJob job{.settings = resolved({}, {}), .name = "a", .log = "/l", .folder = "/f", .exclude = "node7"};
  EXPECT_THAT(sbatch_options(job), testing::Contains("--exclude=node7"));
  job.exclude = "";
  EXPECT_THAT(sbatch_options(job), testing::Not(testing::Contains(HasSubstr("--exclude"))));
}

TEST(SlurmRequest, NodesAreRoundedUpAndASpareIsOneMore) {
  EXPECT_EQ(nodes_for(1, {.tasks_per_node = 4}), 1);
  EXPECT_EQ(nodes_for(4, {.tasks_per_node = 4}), 1);
  EXPECT_EQ(nodes_for(5, {.tasks_per_node = 4}), 2);
  EXPECT_EQ(nodes_for(7, {}), 7);
  const BatchJob job{.settings = resolved({.nodes = 5, .spare_nodes = 2}, {}), .ranks = 3};
  EXPECT_THAT(sbatch_options(job), testing::Contains("--nodes=7"));
}

/// What a shell makes of a command's words, joined by a sign that none of them has.
std::string read_back(const std::string& quoted) {
  const CommandResult result = run_command({"/bin/sh", "-c", "printf '%s\\036' " + quoted}, 33);
  EXPECT_TRUE(result.is_good()) << result.error_output;
  return result.output;
}

TEST(SlurmRequest, AShellReadsEveryQuotedWordBack) {
  const std::vector<std::string> nasty = {"plain",       "",          " ",           "two words",     "'",
                                          "''",          "it's",      "\"quoted\"",  "line\nbreak\n", "\n",
                                          "$(echo no)",  "`echo no`", "$HOME",       "${PATH}",       "*",
                                          "/etc/pass*",  "[a-z]?",    "~",           "~root",         "-n",
                                          "--help",      "%s",        "\\",          "\\n",           "a\\'b",
                                          "a;b&c|d<e>f", "!!",        "#comment",    "{a,b}",         "A=b",
                                          "tab\there",   "\x01\x7f",  "数据 🙂", "bad \xff byte"};
  for (const std::string& word : nasty) EXPECT_EQ(read_back(shell_quoted(word)), word + '\036') << word;
  std::string expected;
  for (const std::string& word : nasty) expected += word + '\036';
  EXPECT_EQ(read_back(shell_quoted(nasty)), expected);
}

TEST(SlurmRequest, APlainWordStaysAsItIs) {
  EXPECT_EQ(shell_quoted("--output=/runs/a/job-%j.log"), "--output=/runs/a/job-%j.log");
  EXPECT_EQ(shell_quoted("a b"), "'a b'");
}

TEST(SlurmRequest, OptionsStandInAScriptLineByLine) {
  const std::vector<std::string> options = {"--nodes=3", "--exclusive", "--constraint=a100&ib|(x)",
                                            "--output=/runs/a/job-%j.log", "--exclude=node[3-4]"};
  EXPECT_EQ(sbatch_lines(options),
            "#SBATCH --nodes=3\n#SBATCH --exclusive\n#SBATCH --constraint=\"a100&ib|(x)\"\n"
            "#SBATCH --output=/runs/a/job-%j.log\n#SBATCH --exclude=\"node[3-4]\"\n");
  EXPECT_EQ(sbatch_lines({}), "");
}

TEST(SlurmRequest, APathThatALineCannotHoldIsRefusedByName) {
  for (const char* path : {"/runs/two words", "/runs/a\nreboot", "/runs/a\"b", "/runs/it's", "/runs/$HOME", "/runs/`a`",
                           "/runs/a\\b", "/runs/a#b", "/runs/a;b", "/runs/a\tb", "/runs/a~", "/runs/ü", "/runs/a<b"}) {
    const std::vector<std::string> options = {"--nodes=3", std::string("--chdir=") + path};
    try {
      sbatch_lines(options);
      ADD_FAILURE() << path << " stands in a script";
    } catch (const ConfigError& failure) {
      EXPECT_THAT(failure.what(), HasSubstr(shell_quoted(options[1])));
    }
  }
}

TEST(SlurmRequest, WhatPassesThePatternsCanStandInAScript) {
  const SlurmSettings settings = resolved({.constraint = "[a100*2&ib|(v100,x)]",
                                           .dependency = "afterok:812:813,singleton?afterany:9+5",
                                           .begin = "2026-12-01T20:00:30",
                                           .exclude = "node[3-4,7],login1.x",
                                           .licenses = "matlab@db:1,ansys:7",
                                           .mail_user = "alice+runs@example.org"},
                                          {});
  ASSERT_FALSE(check_slurm(settings));
  const std::string lines =
      sbatch_lines(sbatch_options({.settings = settings, .name = "a", .log = "/l", .folder = "/"}));
  EXPECT_THAT(lines, HasSubstr("#SBATCH --dependency=\"afterok:812:813,singleton?afterany:9+5\"\n"));
}

TEST(SlurmRequest, NodesAreListedWithCommas) {
  const std::vector<std::string> nodes = {"node1", "node7", "node3"};
  EXPECT_EQ(node_list(nodes), "node1,node7,node3");
  EXPECT_EQ(node_list({}), "");
}

}  // namespace
}  // namespace stoa::cluster

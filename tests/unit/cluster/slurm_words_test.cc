/// What goes to Slurm as words and comes back as text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/error.h"
#include "stoa/base/process.h"
#include "stoa/base/yaml_fields.h"
#include "stoa/cluster/slurm.h"
#include "stoa/cluster/slurm_request.h"

namespace stoa::cluster {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

TEST(TimeLimit, IsReadAsSbatchReadsIt) {
  EXPECT_EQ(time_limit_s("30"), 1800);
  EXPECT_EQ(time_limit_s("1:30"), 90);
  EXPECT_EQ(time_limit_s("08:00:00"), 28800);
  EXPECT_EQ(time_limit_s("2-12"), 216000);
  EXPECT_EQ(time_limit_s("2-12:30"), 217800);
  EXPECT_EQ(time_limit_s("2-12:30:01"), 217801);
  for (const char* wrong : {"", "-1", "1:2:3:4", "a", "1-", "1 ", "1\n", "1:-2", "99999999999999"})
    EXPECT_FALSE(time_limit_s(wrong)) << wrong;
}

TEST(SlurmSettings, TheExperimentComesBeforeTheSiteAndTheSiteBeforeStoa) {
  SlurmSettings own{.cpus_per_task = 3, .time_limit = "5", .exclusive = false, .program = ProgramDelivery::kShared};
  SlurmSettings site{.tasks_per_node = 4,
                     .cpus_per_task = 8,
                     .memory_gib = 65,
                     .time_limit = "30",
                     .partition = "gpu",
                     .exclusive = true,
                     .continue_by = ContinueBy::kSuccessor};
  const SlurmSettings both = resolved(own, site);
  EXPECT_EQ(both.cpus_per_task, 3);
  EXPECT_EQ(both.time_limit, "5");
  EXPECT_EQ(both.exclusive, false);
  EXPECT_EQ(both.program, ProgramDelivery::kShared);
  EXPECT_EQ(both.tasks_per_node, 4);
  EXPECT_EQ(both.memory_gib, 65);
  EXPECT_EQ(both.partition, "gpu");
  EXPECT_EQ(both.continue_by, ContinueBy::kSuccessor);
  EXPECT_EQ(both.signal, "USR2");
  EXPECT_EQ(both.warning_s, 120);
  EXPECT_EQ(both.most_failures, 3);
  EXPECT_EQ(both.preflight, true);
  EXPECT_EQ(resolved({.gpus_per_node = 4}, {}).tasks_per_node, 4);
  EXPECT_EQ(resolved({}, {}).tasks_per_node, 1);
}

TEST(SlurmSettings, ValuesThatCouldBeMoreThanAValueAreRefusedWithTheirKey) {
  const auto key_of = [](const SlurmSettings& settings) {
    const auto wrong = check_slurm(settings);
    return wrong ? wrong->key : "";
  };
  EXPECT_EQ(key_of({}), "");
  for (const char* wrong : {"a b", "a\nb", "-a", "a;b", "$(touch x)", "`a`", "a'b", "a\"b", "a\\b", "#SBATCH"}) {
    EXPECT_EQ(key_of({.partition = wrong}), "partition") << wrong;
    EXPECT_EQ(key_of({.account = wrong}), "account") << wrong;
    EXPECT_EQ(key_of({.qos = wrong}), "qos") << wrong;
    EXPECT_EQ(key_of({.constraint = wrong}), "constraint") << wrong;
    EXPECT_EQ(key_of({.exclude = wrong}), "exclude") << wrong;
    EXPECT_EQ(key_of({.mail_user = wrong}), "mail_user") << wrong;
    EXPECT_EQ(key_of({.modules = {wrong}}), "modules") << wrong;
  }
  EXPECT_EQ(key_of({.time_limit = "soon"}), "time_limit");
  EXPECT_EQ(key_of({.signal = "KILL"}), "signal");
  EXPECT_EQ(key_of({.constraint = "a100&ib",
                    .dependency = "afterok:812",
                    .begin = "2026-12-01T20:00",
                    .exclude = "node[3-4]",
                    .licenses = "matlab@server:2",
                    .mail_user = "a.b@example.org"}),
            "");
}

TEST(SlurmSettings, AreWrittenAndReadBack) {
  SlurmSettings settings{.nodes = 3,
                         .spare_nodes = 1,
                         .qos = "low",
                         .exclusive = true,
                         .program = ProgramDelivery::kBroadcast,
                         .continue_by = ContinueBy::kExitCode,
                         .modules = {"openmpi/4.1"},
                         .preflight = false};
  YamlWriter writer;
  describe_slurm(writer, settings);
  const YamlFile file = YamlFile::parse(writer.text(), "a.yaml");
  SlurmSettings read;
  YamlReader reader(file);
  describe_slurm(reader, read);
  reader.finish();
  YamlWriter again;
  describe_slurm(again, read);
  EXPECT_EQ(again.text(), writer.text());
  EXPECT_EQ(read.program, ProgramDelivery::kBroadcast);
  EXPECT_EQ(read.continue_by, ContinueBy::kExitCode);
}

TEST(SbatchOptions, AreOneWordEach) {
  BatchJob job{.settings = resolved({}, {}), .name = "a", .log = "/r/job-%j.log", .folder = "/w", .ranks = 3};
  EXPECT_THAT(sbatch_options(job),
              ElementsAre("--job-name=a", "--output=/r/job-%j.log", "--open-mode=append", "--chdir=/w", "--nodes=3",
                          "--ntasks-per-node=1", "--no-kill", "--signal=B:USR2@120", "--requeue"));
  job.settings = resolved({.tasks_per_node = 3,
                           .cpus_per_task = 2,
                           .gpus_per_node = 3,
                           .spare_nodes = 1,
                           .memory_gib = 65,
                           .time_limit = "1-00:00:00",
                           .exclude = "node9",
                           .exclusive = true,
                           .continue_by = ContinueBy::kSuccessor},
                          {});
  job.ranks = 9;
  job.exclude = "node3,node4";
  const auto words = sbatch_options(job);
  for (const char* word : {"--nodes=4", "--ntasks-per-node=3", "--no-requeue", "--cpus-per-task=2", "--gpus-per-node=3",
                           "--mem=65G", "--time=1-00:00:00", "--exclude=node9,node3,node4", "--exclusive"})
    EXPECT_THAT(words, Contains(word));
}

TEST(ShellQuoted, IsReadBackByAShellAsItWas) {
  const std::vector<std::string> words = {"plain-1.0/a", "a b",     "it's",  "\"twice\"", "$(touch /tmp/harm)",
                                          "`a`",         "a\nb",    "*?[a]", "",          "-n",
                                          "\\",          "#SBATCH", "ü",     "!!",        "~",
                                          "a;b&c|d"};
  const CommandResult result = run_command({"/bin/sh", "-c", "printf '%s\\0' " + shell_quoted(words)}, 10);
  std::string expected;
  for (const std::string& word : words) expected += word + '\0';
  EXPECT_EQ(result.output, expected);
}

TEST(SbatchLines, RefuseWhatWouldBeReadAsSomethingElse) {
  const std::string good[] = {"--nodes=3", "--constraint=a&b"};
  EXPECT_EQ(sbatch_lines(good), "#SBATCH --nodes=3\n#SBATCH --constraint=\"a&b\"\n");
  for (const char* wrong : {"--chdir=/a b", "--chdir=/a\nb", "--chdir=/a'b", "--chdir=/$(b)"}) {
    const std::string options[] = {wrong};
    EXPECT_THROW(sbatch_lines(options), ConfigError) << wrong;
  }
}

TEST(LogPattern, KeepsTheFolderFromBeingReadAsAPattern) {
  EXPECT_EQ(log_pattern("/r/a"), "/r/a/job-%j.log");
  EXPECT_EQ(log_pattern("/r/%j"), "/r/%%j/job-%j.log");
  EXPECT_EQ(log_pattern("/r/a\\b%"), "/r/a\\\\b%/job-all.log");
}

TEST(ParseQueue, TakesRowsThatAreWholeAndNoOthers) {
  const std::string row =
      "812\x1fPENDING\x1fPriority\x1f"
      "2\x1f"
      "1764000000\x1fN/A\x1fUnknown\x1f\x1f"
      "a b\x1f\n";
  const auto answer = parse_queue(row +
                                  "a broken\x1f"
                                  "row\n\n");
  ASSERT_EQ(answer.rows.size(), 1U);
  EXPECT_EQ(answer.rows[0].id, "812");
  EXPECT_EQ(answer.rows[0].restarts, 2);
  EXPECT_EQ(answer.rows[0].submitted, 1764000000);
  EXPECT_EQ(answer.rows[0].start, 0);
  EXPECT_EQ(answer.rows[0].comment, "a b");
}

TEST(ParseAccounts, ReadsEachRunOfAJob) {
  const auto row = [](const char* state, const char* end) {
    return fmt::format(
        "812\x1f{}\x1f"
        "100\x1f"
        "200\x1f{}\x1f"
        "33\x1f"
        "0:0\x1f"
        "257\x1fnode[1-3]\x1f\n",
        state, end);
  };
  const auto answer = parse_accounts(row("NODE_FAIL", "233") + row("CANCELLED by 2001", "Unknown"));
  ASSERT_EQ(answer.rows.size(), 2U);
  EXPECT_EQ(answer.rows[0].end, 233);
  EXPECT_EQ(answer.rows[0].energy_j, 257);
  EXPECT_EQ(answer.rows[1].state, "CANCELLED by 2001");
  EXPECT_EQ(answer.rows[1].end, 0);
}

TEST(ScontrolField, FindsAWholeKey) {
  const std::string line = "JobId=1 JobName=a State=x PreemptEligibleTime=5 PreemptTime=None JobState=RUNNING";
  EXPECT_EQ(scontrol_field(line, "JobState"), "RUNNING");
  EXPECT_EQ(scontrol_field(line, "PreemptTime"), "None");
  EXPECT_EQ(scontrol_field(line, "Job"), "");
}

}  // namespace
}  // namespace stoa::cluster

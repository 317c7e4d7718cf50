/// What Slurm's commands print, as it is read.
#include "stoa/cluster/slurm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stoa::cluster {
namespace {

/// As squeue and sacct write it: the separator after every field.
std::string row(const std::vector<std::string>& fields) {
  std::string line;
  for (const std::string& field : fields) line += field + '\x1f';
  return line + '\n';
}

TEST(Slurm, ReadsARowOfTheQueue) {
  const auto answer = parse_queue(row({"812", "RUNNING", "None", "7", "1764000000", "1764000033", "1764003633",
                                       "node[1-3]", "a comment, with | and spaces"}));
  EXPECT_EQ(answer.unreachable, "");
  ASSERT_EQ(answer.rows.size(), 1u);
  const QueuedJob& job = answer.rows[0];
  EXPECT_EQ(job.id, "812");
  EXPECT_EQ(job.state, "RUNNING");
  EXPECT_EQ(job.reason, "None");
  EXPECT_EQ(job.restarts, 7);
  EXPECT_EQ(job.submitted, 1764000000);
  EXPECT_EQ(job.start, 1764000033);
  EXPECT_EQ(job.end, 1764003633);
  EXPECT_EQ(job.nodes, "node[1-3]");
  EXPECT_EQ(job.comment, "a comment, with | and spaces");
}

TEST(Slurm, ATimeThatSlurmDoesNotKnowYetIsNone) {
  const auto answer =
      parse_queue(row({"812", "PENDING", "Priority", "0", "1764000000", "N/A", "Unknown", "", ""}) +
                  row({"813", "PENDING", "AssocGrpCPUMinutesLimit", "", "", "2026-12-01T20:00", "N/A", "", "(null)"}));
  ASSERT_EQ(answer.rows.size(), 2u);
  EXPECT_EQ(answer.rows[0].start, 0);
  EXPECT_EQ(answer.rows[0].end, 0);
  EXPECT_EQ(answer.rows[1].start, 0);
  EXPECT_EQ(answer.rows[1].submitted, 0);
  EXPECT_EQ(answer.rows[1].restarts, 0);
  EXPECT_EQ(answer.rows[1].reason, "AssocGrpCPUMinutesLimit");
}

TEST(Slurm, ReadsARowOfTheAccounts) {
  const auto answer = parse_accounts(
      row({"812", "CANCELLED by 2001", "1764000000", "1764000033", "1764000044", "11", "0:15", "4321", "node[1-3]"}) +
      row({"812", "NODE_FAIL", "1764000000", "Unknown", "Unknown", "0", "1:0", "", "None assigned"}));
  ASSERT_EQ(answer.rows.size(), 2u);
  const AccountedJob& job = answer.rows[0];
  EXPECT_EQ(job.id, "812");
  EXPECT_EQ(job.state, "CANCELLED by 2001");
  EXPECT_EQ(job.submitted, 1764000000);
  EXPECT_EQ(job.start, 1764000033);
  EXPECT_EQ(job.end, 1764000044);
  EXPECT_EQ(job.elapsed_s, 11);
  EXPECT_EQ(job.exit_code, "0:15");
  EXPECT_EQ(job.energy_j, 4321);
  EXPECT_EQ(job.nodes, "node[1-3]");
  EXPECT_EQ(answer.rows[1].start, 0);
  EXPECT_EQ(answer.rows[1].energy_j, 0);
}

TEST(Slurm, ARowOfAnotherNumberOfFieldsIsDroppedAndTheOthersStay) {
  const std::vector<std::string> good = {"812", "RUNNING", "None", "0", "1", "2", "3", "node1", "c"};
  std::vector<std::string> fewer(good.begin(), good.end() - 1);
  std::vector<std::string> more = good;
  more[8] = std::string("a\x1f") + "b";
  const std::string without_last = row(good).substr(0, row(good).size() - 2) + '\n';
  const auto answer = parse_queue(row(fewer) + row(more) + "slurmstepd: hello\n" + without_last + row(good) + "\n");
  ASSERT_EQ(answer.rows.size(), 1u);
  EXPECT_EQ(answer.rows[0].comment, "c");
  EXPECT_TRUE(parse_accounts(row(fewer)).rows.empty());
  EXPECT_TRUE(parse_accounts("").rows.empty());
  EXPECT_TRUE(parse_queue("").rows.empty());
}

TEST(Slurm, ACommentWithANewlineBreaksItsOwnRowOnly) {
  const auto answer = parse_queue(row({"1", "RUNNING", "None", "0", "1", "2", "3", "node1", "two\nlines"}) +
                                  row({"2", "RUNNING", "None", "0", "1", "2", "3", "node1", ""}));
  ASSERT_EQ(answer.rows.size(), 1u);
  EXPECT_EQ(answer.rows[0].id, "2");
}

TEST(Slurm, AFieldOfScontrolIsFoundByItsWholeName) {
  const std::string line =
      "JobId=812 JobName=a Requeue=1 Restarts=7 BatchFlag=2 Reboot=0 ExitCode=0:0 NodeList=node[1-3] "
      "PreemptTime=None Command=/runs/a/stoa-batch.sh Comment=x=y  Power=";
  EXPECT_EQ(scontrol_field(line, "JobId"), "812");
  EXPECT_EQ(scontrol_field(line, "Restarts"), "7");
  EXPECT_EQ(scontrol_field(line, "NodeList"), "node[1-3]");
  EXPECT_EQ(scontrol_field(line, "Comment"), "x=y");
  EXPECT_EQ(scontrol_field(line, "Power"), "");
  EXPECT_EQ(scontrol_field(line, "Id"), "");
  EXPECT_EQ(scontrol_field(line, "Node"), "");
  EXPECT_EQ(scontrol_field(line, "TimeLimit"), "");
  EXPECT_EQ(scontrol_field("", "JobId"), "");
}

}  // namespace
}  // namespace stoa::cluster

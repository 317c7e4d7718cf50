#include "stoa/launcher/node_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stoa::launcher {
namespace {

using testing::HasSubstr;

NodeReport good(const std::string& node) {
  return {.node = node,
          .unix_s = 1000,
          .available_gib = 65,
          .copy_gib_per_s = 9,
          .gflops = 90,
          .threads = 3,
          .disk_s = 0.1};
}

TEST(JudgeNodes, NamesTheBadOneAndWhy) {
  const std::vector<std::string> asked = {"a", "b", "c"};
  cluster::MachineSettings machine{.name = "site"};
  machine.rate.resource = "core";
  machine.peak_fp32_gflops.value = 33;
  const auto judged = [&](const NodeReport& third, std::vector<LinkReport> links = {}) -> std::string {
    const auto bad = judge_nodes(asked, {{good("a"), good("b"), third}, std::move(links)}, machine, 33, 1000);
    return bad.empty() ? "" : bad[0].node + ": " + bad[0].reason;
  };
  EXPECT_EQ(judged(good("c")), "");
  NodeReport bad = good("c");
  bad.disk_defect = "/tmp/x: Read-only file system";
  EXPECT_EQ(judged(bad), "c: /tmp/x: Read-only file system");
  bad = good("c");
  bad.available_gib = 20;
  EXPECT_THAT(judged(bad), HasSubstr("20.0 GiB of memory are available, the job asks for 33"));
  bad = good("c");
  bad.unix_s = 1100;
  EXPECT_THAT(judged(bad), HasSubstr("its clock is 100 s off"));
  bad = good("c");
  bad.gflops = 20;
  EXPECT_THAT(judged(bad), HasSubstr("6.7 GFLOP/s a thread, less than a quarter of the 33 of site"));
  bad = good("c");
  bad.copy_gib_per_s = 2;
  EXPECT_THAT(judged(bad), HasSubstr("memory copies 2.0 GiB/s"));
  EXPECT_THAT(judged(good("c"), {{"a", "b", 900}, {"b", "a", 900}, {"c", "b", 33}, {"b", "c", 33}, {"a", "c", 900}}),
              HasSubstr("c: 33 MiB/s to its neighbours"));
  const auto silent = judge_nodes(asked, {{good("a"), good("b")}, {}}, machine, 0, 1000);
  ASSERT_EQ(silent.size(), 1U);
  EXPECT_EQ(silent[0].node, "c");
  EXPECT_TRUE(judge_nodes(asked, {}, machine, 0, 1000).empty());
}

TEST(NodeReportLines, AreReadBackAmongOtherLines) {
  const auto reports = parse_reports("srun: something\n" + to_line(good("a")) + "\n{\"odd\": 1}\n{broken\n" +
                                     to_line(LinkReport{"a", "b", 257}) + "\n");
  ASSERT_EQ(reports.nodes.size(), 1U);
  EXPECT_EQ(reports.nodes[0].gflops, 90);
  ASSERT_EQ(reports.links.size(), 1U);
  EXPECT_EQ(reports.links[0].mib_per_s, 257);
}

}  // namespace
}  // namespace stoa::launcher

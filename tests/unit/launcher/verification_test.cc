/// `stoa verify` on the experiments that ship, and what it says where a layout differs.
#include "stoa/launcher/verification.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/error.h"
#include "stoa/launcher/command_line.h"
#include "stoa/tests/unit/launcher/captured.h"

namespace stoa::launcher {
namespace {

using testing::HasSubstr;
using trainer::LayoutVerdict;
using trainer::StepSettings;

const std::filesystem::path kConfigs = STOA_CONFIGS_DIRECTORY;

struct Ran {
  int code;
  std::string out, err;
};

Ran run_stoa(const std::vector<std::string>& words) {
  Captured out, err;
  const int code = run_command_line(words, {.out = out.stream(), .err = err.stream()});
  return {code, out.text(), err.text()};
}

LayoutVerdict verdict_with(const std::string& fault) {
  LayoutVerdict verdict;
  verdict.layout.parallel.mesh = {.data = 2, .pipeline = 1, .tensor = 4};
  verdict.comparison.bounds.gradient = 1e-5;
  verdict.comparison.gradient = {0.25, "layers.0.attention.key.weight"};
  if (!fault.empty()) verdict.fault = fault;
  return verdict;
}

TEST(Verification, LayoutsOfTheQuickstartHaveTheSameBits) {
  const Ran ran = run_stoa({"verify", (kConfigs / "quickstart.yaml").string(), "--layouts", "3"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("\n2 x 1 x 1 "));
  EXPECT_THAT(ran.out, HasSubstr("same bits"));
  EXPECT_THAT(ran.out, HasSubstr("All 3 layouts give what one rank gives"));
}

TEST(Verification, TheOwnCompositionOfALargeExperimentComesFirst) {
  const Ran ran = run_stoa({"verify", (kConfigs / "gpt2_124m.yaml").string(), "parallel.pipeline=4",
                            "parallel.tensor=2", "parallel.zero=2", "--layouts", "1", "--format", "json"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  const Json report = parse_json(ran.out, "stoa verify");
  const Json& layout = report["layouts"][0];
  EXPECT_EQ(report["equal"], true);
  EXPECT_EQ(layout["data"], 2);
  EXPECT_EQ(layout["pipeline"], 2);
  EXPECT_EQ(layout["tensor"], 2);
  EXPECT_EQ(layout["zero"], 2);
  EXPECT_EQ(layout["schedule"], "1f1b");
  EXPECT_LE(layout["gradient_difference"].get<double>(), layout["gradient_bound"].get<double>());
}

TEST(Verification, ATableHasTheWorstParameterAndTheVerdictInColumns) {
  const LayoutVerdict equal = verdict_with(""), different = verdict_with("a fault");
  const VerificationTable table({equal.layout, different.layout});
  const std::string header = table.header(), line = table.line(different);
  EXPECT_EQ(line.find("layers.0.attention.key.weight"), header.find("worst parameter"));
  EXPECT_EQ(line.find("DIFFERENT"), header.find("verdict"));
  EXPECT_EQ(line.find("2.5e-01"), header.find("gradient"));
  EXPECT_THAT(table.line(equal), HasSubstr("  equal  "));
  LayoutVerdict stopped = verdict_with("a rank has failed");
  stopped.comparison = {};
  EXPECT_THAT(table.line(stopped), HasSubstr("  stopped  "));
}

TEST(Verification, FaultsNameLayoutAndParameter) {
  EXPECT_EQ(faults_text({verdict_with(""), verdict_with("")}), "");
  EXPECT_EQ(
      faults_text({verdict_with(""), verdict_with("the gradient of head.weight differs by 1, the bound is 3e-05")}),
      "1 of 2 layouts do not give what one rank gives:\n"
      "  data 2 x pipeline 1 x tensor 4, zero 0, 1f1b, recompute none: the gradient of head.weight differs by 1, the "
      "bound is 3e-05");
}

TEST(Verification, AnExperimentThatCannotRunIsRefusedBeforeAnything) {
  const Ran ran = run_stoa({"verify", (kConfigs / "quickstart.yaml").string(), "parallel.tensor=3"});
  EXPECT_EQ(ran.code, exit_code(ErrorKind::kConfig));
  EXPECT_THAT(ran.err, HasSubstr("parallel.tensor 3"));
}

}  // namespace
}  // namespace stoa::launcher

#include "stoa/cluster/run_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "stoa/base/error.h"
#include "stoa/tests/unit/cluster/report_fixture.h"

namespace stoa::cluster {
namespace {

using testing::HasSubstr;

std::string error_of(const std::string& text) {
  try {
    parse_metrics(text, "metrics.jsonl");
  } catch (const DataError& error) {
    return error.what();
  }
  return "no DataError";
}

TEST(RunMetrics, AfterAResumeTheLastLineOfAStepCounts) {
  const RunMetrics metrics = parse_metrics(fixture_metrics_text(33), "metrics.jsonl");
  ASSERT_EQ(metrics.steps.size(), 33u);
  for (std::size_t i = 0; i < metrics.steps.size(); ++i)
    EXPECT_EQ(metrics.steps[i].step, static_cast<std::int64_t>(i) + 1);
  EXPECT_EQ(metrics.steps[15].attempt, "1");
  EXPECT_EQ(metrics.steps[16].attempt, "3");
  EXPECT_EQ(metrics.starts.size(), 3u);
  EXPECT_EQ(metrics.evaluations.size(), 3u);
  EXPECT_EQ(metrics.checkpoints.size(), 2u);
  EXPECT_EQ(metrics.last_time, 1764002000 + 0.25 * 33);
}

TEST(RunMetrics, EveryPrefixReads) {
  const std::string text = fixture_metrics_text(5);
  for (std::size_t size = 0; size <= text.size(); ++size)
    ASSERT_NO_THROW(parse_metrics(std::string_view(text).substr(0, size), "metrics.jsonl"));
  EXPECT_EQ(parse_metrics(text.substr(0, text.size() - 1), "m").checkpoints.size(), 1u);
}

TEST(RunMetrics, ALineThatIsGarbageIsNamed) {
  const std::string start = fixture_start(0, 1, 1);
  EXPECT_THAT(error_of(start + "garbage\n"), HasSubstr("metrics.jsonl:2:"));
  EXPECT_THAT(error_of(start + start + "{}\n"), HasSubstr("metrics.jsonl:3: 'kind' is missing"));
  EXPECT_THAT(error_of("[]\n"), HasSubstr("metrics.jsonl:1:"));
  EXPECT_THAT(error_of(R"({"kind":"evaluation","step":"1"})"
                       "\n"),
              HasSubstr("'step' must be a whole number, found \"1\""));
}

TEST(RunMetrics, ALossThatWasNotFiniteIsNan) {
  std::string line = fixture_step(1, 33, 1, 5);
  const std::size_t at = line.find("\"loss\":") + 7;
  line.replace(at, line.find(',', at) - at, "null");
  EXPECT_TRUE(std::isnan(parse_metrics(line, "m").steps.at(0).loss));
}

TEST(RunMetrics, AKindOfALaterVersionIsPassedOver) {
  EXPECT_TRUE(parse_metrics("{\"kind\":\"mood\",\"step\":1}\n", "m").steps.empty());
}

TEST(RunMetrics, AnAbsentFileIsARunBeforeItsFirstLine) {
  EXPECT_TRUE(read_metrics(testing::TempDir() + "/no-such-metrics.jsonl").starts.empty());
}

}  // namespace
}  // namespace stoa::cluster

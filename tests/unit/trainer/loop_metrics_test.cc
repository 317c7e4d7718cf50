#include "stoa/trainer/loop/metrics.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>

#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/loop/recorded_loss.h"

namespace stoa::trainer {
namespace {

class LoopMetrics : public testing::Test {
 protected:
  void SetUp() override { stream_ = ::open_memstream(&text_, &size_); }
  void TearDown() override {
    std::fclose(stream_);
    std::free(text_);
  }
  std::string streamed() {
    std::fflush(stream_);
    return {text_, size_};
  }

  ScratchFolder folder_;
  FakeClock clock_{1764000000};
  char* text_ = nullptr;
  std::size_t size_ = 0;
  std::FILE* stream_ = nullptr;
};

TEST_F(LoopMetrics, FileAndStreamGetTheSameLinesWithAttemptAndTime) {
  Metrics metrics(folder_ / "metrics.jsonl", stream_, "2", clock_);
  metrics.write({{"kind", "step"}, {"step", 1}});
  clock_.tick(0.5);
  metrics.write({{"kind", "step"}, {"step", 2}});
  EXPECT_EQ(streamed(),
            "{\"kind\":\"step\",\"step\":1,\"attempt\":\"2\",\"time\":1764000000.0}\n"
            "{\"kind\":\"step\",\"step\":2,\"attempt\":\"2\",\"time\":1764000000.5}\n");
  EXPECT_EQ(read_bytes(folder_ / "metrics.jsonl"), streamed());
}

TEST_F(LoopMetrics, TheLastRecordedLossOfAStepIsFoundNearTheEnd) {
  const std::filesystem::path file = folder_ / "metrics.jsonl";
  EXPECT_EQ(recorded_loss(file, 1), std::nullopt);
  Metrics metrics(file, stream_, "1", clock_);
  for (const auto& [step, loss] : std::map<int, double>{{1, 5.5}, {2, 4.5}, {3, 3.5}})
    metrics.write({{"kind", "step"}, {"step", step}, {"loss", loss}});
  metrics.write({{"kind", "step"}, {"step", 2}, {"loss", 4.25}});
  metrics.write({{"kind", "evaluation"}, {"step", 3}, {"loss", 9.5}});
  metrics.write({{"kind", "step"}, {"step", 4}, {"loss", std::nan("")}});
  std::ofstream(file, std::ios::app) << "{\"kind\":\"step\",\"step\":5,\"lo";
  EXPECT_EQ(metrics.recorded_loss(1), 5.5);
  EXPECT_EQ(metrics.recorded_loss(2), 4.25);
  EXPECT_EQ(metrics.recorded_loss(3), 3.5);
  EXPECT_EQ(metrics.recorded_loss(4), std::nullopt);
  EXPECT_EQ(metrics.recorded_loss(5), std::nullopt);
  std::ofstream(file, std::ios::app) << std::string(5 << 20, '\n');
  EXPECT_EQ(metrics.recorded_loss(3), std::nullopt) << "too far from the end";
  EXPECT_EQ(Metrics().recorded_loss(1), std::nullopt);
}

TEST_F(LoopMetrics, ALossMayDifferByRoundingOnly) {
  EXPECT_EQ(loss_defect(3.00001, 3, Precision::kFp32), "");
  EXPECT_NE(loss_defect(3.001, 3, Precision::kFp32), "");
  EXPECT_EQ(loss_defect(3.01, 3, Precision::kBf16), "");
  EXPECT_NE(loss_defect(3.1, 3, Precision::kBf16), "");
  EXPECT_NE(loss_defect(std::nan(""), 3, Precision::kBf16), "");
}

TEST_F(LoopMetrics, WhatIsNotFiniteBecomesNull) {
  Metrics metrics(folder_ / "metrics.jsonl", stream_, "1", clock_);
  metrics.write({{"loss", std::nan("")}, {"gradient_norm", HUGE_VAL}});
  const Json line = parse_json(read_bytes(folder_ / "metrics.jsonl"), "metrics.jsonl");
  EXPECT_TRUE(line.at("loss").is_null());
  EXPECT_TRUE(line.at("gradient_norm").is_null());
}

TEST_F(LoopMetrics, AnotherAttemptAppendsAndCutsOffATornLine) {
  Metrics(folder_ / "metrics.jsonl", stream_, "1", clock_).write({{"step", 1}});
  write_bytes(folder_ / "metrics.jsonl", read_bytes(folder_ / "metrics.jsonl") + "{\"step\":2,\"lo");
  Metrics(folder_ / "metrics.jsonl", stream_, "2", clock_).write({{"step", 2}});
  EXPECT_EQ(read_bytes(folder_ / "metrics.jsonl"), streamed());
}

TEST_F(LoopMetrics, OfTheOtherRanksWriteNothing) {
  Metrics metrics;
  metrics.write({{"step", 1}});
  EXPECT_EQ(streamed(), "");
}

TEST_F(LoopMetrics, ResidentMemoryGrowsWithWhatIsTouched) {
  const std::int64_t before = resident_bytes();
  const std::vector<char> touched(64 << 20, 'x');
  EXPECT_GT(resident_bytes(), before + (32 << 20)) << touched.back();
}

}  // namespace
}  // namespace stoa::trainer

#include "stoa/launcher/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <memory>

#include "stoa/base/durable_file.h"
#include "stoa/tests/unit/launcher/captured.h"

namespace stoa::launcher {
namespace {

const Progress kNow{
    .step = 123, .steps = 600, .loss = 3.45678, .tokens_per_s = 39012, .seconds_left = 123.4, .price = "0.0021 EUR"};

TEST(ProgressLine, LeavesOutFromTheRightWhatDoesNotFit) {
  EXPECT_EQ(progress_line(kNow, 100),
            "[######........................] 123/600  loss 3.4568  2 min 03 s left  39.0 k tokens/s  0.0021 EUR");
  EXPECT_EQ(progress_line(kNow, 80),
            "[##.........] 123/600  loss 3.4568  2 min 03 s left  39.0 k tokens/s  0.0021 EUR");
  EXPECT_EQ(progress_line(kNow, 67), "123/600  loss 3.4568  2 min 03 s left  39.0 k tokens/s  0.0021 EUR");
  EXPECT_EQ(progress_line(kNow, 41), "123/600  loss 3.4568  2 min 03 s left");
  EXPECT_EQ(progress_line(kNow, 20), "123/600  loss 3.4568");
  EXPECT_EQ(progress_line(kNow, 5), "123/6");
}

TEST(ProgressLine, NeverIsWiderThanTheTerminal) {
  for (int columns = 1; columns < 200; ++columns)
    EXPECT_LE(progress_line(kNow, columns).size(), static_cast<std::size_t>(columns)) << columns;
}

TEST(ProgressLine, SaysThatItSavesAndThatALossIsNotFinite) {
  Progress saving = kNow;
  saving.state = Progress::State::kSaving;
  saving.loss = std::nan("");
  EXPECT_EQ(progress_line(saving, 40), "123/600  loss not finite  saving");
}

TEST(ProgressText, IsOneSentenceAnEvent) {
  EXPECT_EQ(progress_text(kNow), "step 123/600: loss 3.4568, 39.0 k tokens/s, 2 min 03 s left, 0.0021 EUR");
  EXPECT_EQ(start_text({.step = 100,
                        .attempt = "2",
                        .ranks = 2,
                        .threads_per_rank = 1,
                        .isa = "avx512_bf16",
                        .parameters = 4936960,
                        .time = 0,
                        .host = {}}),
            "attempt 2 resumes after step 100: 4.94 M parameters, 2 ranks x 1 thread, avx512_bf16");
  EXPECT_EQ(evaluation_text({.step = 100, .loss = 3.2, .perplexity = 24.5325, .bits_per_byte = 1.67, .attempt = {}}),
            "step 100: held-out loss 3.2000, perplexity 24.53, 1.6700 bits per byte");
  EXPECT_EQ(checkpoint_text({.step = 100, .bytes = 59243520, .seconds = 0.31, .attempt = {}}),
            "step 100: checkpoint, 56.5 MiB in 0.3 s");
}

cluster::StepMetrics step(std::int64_t number) {
  cluster::StepMetrics metrics;
  metrics.step = number;
  metrics.steps = 40;
  metrics.loss = 2.5;
  metrics.step_s = 1;
  metrics.tokens_per_s = 1000;
  return metrics;
}

TEST(ProgressView, WritesALineEachLogEveryStepsButAtMostOneInTwoSeconds) {
  Captured written;
  FakeClock clock;
  ProgressView view(written.stream(), clock, {.form = ProgressForm::kLines, .columns = 80, .log_every = 3});
  for (int number = 1; number <= 9; ++number) {
    view.show(step(number), "");
    clock.tick(number < 4 ? 0.1 : 1.5);
  }
  view.show(step(40), "");
  EXPECT_EQ(written.text(),
            "step 3/40: loss 2.5000, 1.00 k tokens/s, 37 s left\n"
            "step 6/40: loss 2.5000, 1.00 k tokens/s, 34 s left\n"
            "step 9/40: loss 2.5000, 1.00 k tokens/s, 31 s left\n"
            "step 40/40: loss 2.5000, 1.00 k tokens/s, 0.0 s left\n");
}

TEST(ProgressView, KeepsTheLiveLineBelowTheLinesThatStay) {
  Captured written;
  FakeClock clock;
  ProgressView view(written.stream(), clock, {.form = ProgressForm::kLive, .columns = 21, .log_every = 1});
  view.show(step(1), "");
  view.show(step(2), "");  // within a tenth of a second: not drawn
  view.say("step 2: checkpoint");
  view.end();
  EXPECT_EQ(written.text(),
            "\r1/40  loss 2.5000\x1b[K"
            "\r\x1b[Kstep 2: checkpoint\n\r2/40  loss 2.5000\x1b[K"
            "\r\x1b[K");
}

}  // namespace
}  // namespace stoa::launcher

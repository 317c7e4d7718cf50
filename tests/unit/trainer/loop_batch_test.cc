#include "stoa/trainer/loop/batch.h"

#include <gtest/gtest.h>

#include "stoa/tests/unit/trainer/mixture_cases.h"

namespace stoa::trainer {
namespace {

TEST(Batch, OneTwoAndFourRanksSeeTheSameStep) {
  const MixtureFolder folder;
  constexpr std::int64_t kBatch = 8;
  const auto step_of = [&](std::int64_t ranks) {
    std::vector<std::int32_t> tokens;
    for (std::int64_t rank = 0; rank < ranks; ++rank) {
      const TrainingData data = folder.open(1000, kBatch);
      Batch batch(kBatch / ranks, kMixtureContext);
      const MicroBatch part = batch.read(data.train(), 13 * kBatch + rank * kBatch / ranks, kBatch / ranks);
      tokens.insert(tokens.end(), part.tokens_bt.begin(), part.tokens_bt.end());
    }
    return tokens;
  };
  EXPECT_EQ(step_of(1), step_of(2));
  EXPECT_EQ(step_of(1), step_of(4));
}

TEST(Batch, ABatchHasBoundariesAndPositionsWhereTheSettingsWantThem) {
  MixtureFolder folder;
  const auto filled = [&](bool mask, bool reset) {
    folder.settings().mask_documents = mask;
    folder.settings().reset_positions = reset;
    const TrainingData data = folder.open(1000, 8);
    for (const SampleStream* stream : {&data.train(), data.held_out()}) {
      Batch batch(3, kMixtureContext);
      const MicroBatch view = batch.read(*stream, 2, 2);
      EXPECT_EQ(view.samples, 2);
      EXPECT_EQ(view.document_begin_bt.size(), mask ? 2U * kMixtureContext : 0U);
      EXPECT_EQ(view.positions_bt.size(), reset ? 2U * kMixtureContext : 0U);
      for (std::size_t t = 0; t < 2 * kMixtureContext; ++t) {
        const ReadSample sample = read_sample(*stream, 2 + std::int64_t(t) / kMixtureContext);
        const std::size_t at = t % kMixtureContext;
        EXPECT_EQ(view.tokens_bt[t], sample.inputs[at]);
        EXPECT_EQ(view.targets_bt[t], sample.targets[at]);
        if (mask) {
          EXPECT_EQ(view.document_begin_bt[t], sample.document_begins[at]);
        }
        if (reset) {
          EXPECT_EQ(view.positions_bt[t], std::int32_t(at) - sample.document_begins[at]);
        }
      }
    }
  };
  filled(false, false);
  filled(true, false);
  filled(false, true);
  filled(true, true);
}

}  // namespace
}  // namespace stoa::trainer

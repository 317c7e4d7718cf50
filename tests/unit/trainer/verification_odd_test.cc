/// Layouts at the edge of what check_layout lets pass: hardly a row, a layer, a parameter or a micro-batch for each
/// rank. Each gives what one rank gives.
#include <gtest/gtest.h>

#include <array>

#include "stoa/tests/unit/trainer/verification_cases.h"

namespace stoa::trainer {
namespace {

using parallel::PipelineKind;

/// The mesh with `micro_batches` of each data rank.
StepSettings on_mesh(StepSettings settings, const parallel::MeshSize& mesh, std::int64_t micro_batches) {
  settings.parallel.mesh = mesh;
  settings.training.global_batch = settings.training.micro_batch * mesh.data * micro_batches;
  return settings;
}

void expect_as_one_rank(const StepSettings& settings, const DocumentRules& rules = {}) {
  const std::string text = layout_text(settings);
  const auto wrong = check_layout(settings.model, settings.training, settings.parallel);
  ASSERT_FALSE(wrong.has_value()) << text << ": " << wrong->message;
  EXPECT_EQ(compare(settings, run_plain(settings, rules), run_one_rank(settings, rules)).fault, std::nullopt) << text;
}

TEST(VerificationThreadRanksOdd, ARowOfAMicroBatchForEachTensorRankOrOneMore) {
  for (const std::int64_t context : {4, 5, 7}) {
    StepSettings settings = on_mesh(verified_llama(Tied::kYes), {1, 2, 4}, 3);
    settings.model.context_length = context;
    settings.model.vocabulary_size = 11;
    expect_as_one_rank(settings);
  }
}

TEST(VerificationThreadRanksOdd, AWordOfTheVocabularyAndAColumnOfTheFeedForwardForEachTensorRank) {
  for (const Tied tied : {Tied::kNo, Tied::kYes}) {
    StepSettings settings = on_mesh(verified_gpt2(tied), {1, 1, 8}, 2);
    settings.model.vocabulary_size = 8;
    settings.model.feed_forward_width = 9;
    expect_as_one_rank(settings);
  }
}

// Two buffers are being filled at a time then: those of the embedding and of its positions.
TEST(VerificationThreadRanksOdd, PositionsThatAreMoreThanAStagesLayersWithGradientsCut) {
  for (const int tensor : {1, 2}) {
    StepSettings settings = on_mesh(verified_gpt2(Tied::kNo), {2, 2, tensor}, 2);
    settings.model.layers = 2;
    settings.model.width = 5;
    settings.model.heads = settings.model.key_value_heads = 2;
    settings.model.feed_forward_width = 7;
    settings.model.context_length = 257;
    settings.model.vocabulary_size = 401;
    settings.parallel.zero = Zero::kGradients;
    expect_as_one_rank(settings);
  }
}

TEST(VerificationThreadRanksOdd, OneMicroBatchAndOneLayerForEachStageOfATiedModel) {
  for (const PipelineKind schedule : {PipelineKind::kOneForwardOneBackward, PipelineKind::kZeroBubble})
    for (const Zero zero : {Zero::kNone, Zero::kGradients}) {
      StepSettings settings = on_mesh(verified_gpt2(Tied::kYes), {2, 4, 1}, 1);
      settings.parallel.schedule = schedule;
      settings.parallel.zero = zero;
      settings.training.micro_batch = 8;
      settings.training.global_batch = 16;
      expect_as_one_rank(settings, {.mask = true, .reset_positions = true});
    }
}

TEST(VerificationThreadRanksOdd, MoreDataRanksThanABucketHasParts) {
  for (const Zero zero : {Zero::kOptimizer, Zero::kGradients}) {
    StepSettings settings = on_mesh(verified_llama(Tied::kYes), {8, 1, 1}, 2);
    settings.model.layers = 1;
    settings.model.vocabulary_size = 5;
    settings.parallel.zero = zero;
    settings.training.precision = Precision::kBf16;
    expect_as_one_rank(settings);
  }
}

TEST(VerificationThreadRanksOdd, UnevenChunksWithCopiesOfKeyValueHeadsAndEverythingComputedAgain) {
  StepSettings settings = on_mesh(verified_llama(Tied::kYes), {1, 2, 4}, 4);
  settings.model.layers = 7;
  settings.parallel.schedule = PipelineKind::kInterleaved;
  settings.parallel.chunks_per_stage = 2;
  settings.parallel.stage_layers = {1, 3, 1, 2};
  settings.training.recompute = Recompute::kFull;
  settings.training.z_loss = 0.01;
  expect_as_one_rank(settings, {.mask = true, .reset_positions = true});
}

}  // namespace
}  // namespace stoa::trainer

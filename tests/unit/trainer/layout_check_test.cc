/// Which layouts are refused, in which words, and that what is proposed instead works.
#include "stoa/trainer/layout_check.h"

#include <gtest/gtest.h>

#include <regex>

namespace stoa::trainer {
namespace {

using parallel::PipelineKind;

struct Case {
  ModelSettings model = resolved(
      {.layers = 12, .width = 128, .heads = 16, .key_value_heads = 4, .vocabulary_size = 257, .context_length = 33});
  TrainingSettings training = {.steps = 10, .global_batch = 48, .micro_batch = 1};
  ParallelSettings parallel;

  Case& mesh(int data, int pipeline, int tensor) {
    parallel.mesh = {.data = data, .pipeline = pipeline, .tensor = tensor};
    return *this;
  }
  std::string refusal() const {
    const auto wrong = check_layout(model, training, parallel);
    return wrong ? wrong->key + ": " + wrong->message : "works";
  }
};

TEST(LayoutCheck, LetsPassWhatWorks) {
  Case c;
  for (const int tensor : {1, 2, 4, 8, 16})
    for (const int pipeline : {1, 2, 3, 4, 12})
      for (const int data : {1, 2, 3, 16, 48}) EXPECT_EQ(c.mesh(data, pipeline, tensor).refusal(), "works");
  for (const Zero zero : {Zero::kNone, Zero::kOptimizer, Zero::kGradients}) {
    c.parallel.zero = zero;
    EXPECT_EQ(c.mesh(1, 1, 1).refusal(), "works");
  }
}

TEST(LayoutCheck, TensorDividesHeadsAndGoesWithKeyValueHeads) {
  Case c;
  EXPECT_EQ(c.mesh(2, 2, 3).refusal(),
            "parallel.tensor: parallel.tensor 3 does not divide model.heads 16: 2 or 4 do; of 12 ranks, data 3 x "
            "pipeline 2 x tensor 2 works");
  c.model.heads = 24;
  c.model.key_value_heads = 4;
  EXPECT_EQ(c.mesh(1, 1, 6).refusal(),
            "parallel.tensor: parallel.tensor 6 neither divides model.key_value_heads 4 nor is a multiple of it: 4 or "
            "8 do; of 6 ranks, data 3 x pipeline 1 x tensor 2 works");
}

TEST(LayoutCheck, EveryTensorRankHasSomethingOfEachDim) {
  Case c;
  c.model.feed_forward_width = 7;
  EXPECT_EQ(c.mesh(1, 1, 8).refusal(),
            "parallel.tensor: parallel.tensor 8 is more than model.feed_forward_width 7: 4 would do; of 8 ranks, data "
            "2 x pipeline 1 x tensor 4 works");
  c = Case();
  c.model.vocabulary_size = 3;
  EXPECT_EQ(c.mesh(1, 1, 4).refusal(),
            "parallel.tensor: parallel.tensor 4 is more than model.vocabulary_size 3: 2 would do; of 4 ranks, data 2 x "
            "pipeline 1 x tensor 2 works");
  c = Case();
  c.model.context_length = 5;
  EXPECT_EQ(c.mesh(1, 1, 8).refusal(),
            "parallel.tensor: parallel.tensor 8 is more than the training.micro_batch 1 x model.context_length 5 = 5 "
            "tokens of a micro-batch: 4 would do; of 8 ranks, data 2 x pipeline 1 x tensor 4 works");
}

TEST(LayoutCheck, ChunksGoWithTheInterleavedScheduleAndStages) {
  Case c;
  c.parallel.chunks_per_stage = 2;
  EXPECT_EQ(c.mesh(1, 2, 1).refusal(),
            "parallel.chunks_per_stage: parallel.chunks_per_stage 2 is for parallel.schedule interleaved alone: set it "
            "to 1, or parallel.schedule to interleaved");
  c.parallel.schedule = PipelineKind::kInterleaved;
  EXPECT_EQ(c.refusal(), "works");
  EXPECT_EQ(c.mesh(4, 1, 1).refusal(),
            "parallel.chunks_per_stage: parallel.chunks_per_stage 2 on parallel.pipeline 1: chunks go round two stages "
            "at least; set parallel.pipeline to 2, or parallel.chunks_per_stage to 1; of 4 ranks, data 2 x pipeline 2 "
            "x tensor 1 works");
  c.parallel.chunks_per_stage = 1;
  EXPECT_EQ(c.mesh(1, 2, 1).refusal(),
            "parallel.schedule: parallel.schedule interleaved needs more than the parallel.chunks_per_stage 1: 2 is "
            "the least; with one chunk a stage it is 1f1b");
}

TEST(LayoutCheck, EveryChunkHasALayer) {
  Case c;
  EXPECT_EQ(c.mesh(1, 16, 1).refusal(),
            "parallel.pipeline: parallel.pipeline 16 x parallel.chunks_per_stage 1 = 16 chunks are more than "
            "model.layers 12: 12 would do; of 16 ranks, data 2 x pipeline 8 x tensor 1 works");
  c.parallel.chunks_per_stage = 3;
  c.parallel.schedule = PipelineKind::kInterleaved;
  EXPECT_EQ(c.mesh(1, 5, 1).refusal(),
            "parallel.pipeline: parallel.pipeline 5 x parallel.chunks_per_stage 3 = 15 chunks are more than "
            "model.layers 12: 4 would do");
}

TEST(LayoutCheck, GivenLayersAreAsManyAsChunksAndSumToTheModels) {
  Case c;
  c.parallel.stage_layers = {5, 4, 4};
  EXPECT_EQ(c.mesh(1, 2, 1).refusal(),
            "parallel.stage_layers: parallel.stage_layers has 3 numbers, but parallel.pipeline 2 x "
            "parallel.chunks_per_stage 1 = 2 chunks");
  EXPECT_EQ(c.mesh(1, 3, 1).refusal(),
            "parallel.stage_layers: parallel.stage_layers 5 + 4 + 4 = 13, but model.layers is 12: [4, 4, 4] would do");
  c.parallel.stage_layers = {5, 4, 2};
  EXPECT_EQ(c.refusal(),
            "parallel.stage_layers: parallel.stage_layers 5 + 4 + 2 = 11, but model.layers is 12: [5, 4, 3] would do");
  c.parallel.stage_layers = {5, 0, 7};
  EXPECT_EQ(c.refusal(), "parallel.stage_layers: parallel.stage_layers gives chunk 1 0 layers: each has one at least");
  c.parallel.stage_layers = {30, 30, 30};
  EXPECT_EQ(c.refusal(),
            "parallel.stage_layers: parallel.stage_layers 30 + 30 + 30 = 90, but model.layers is 12: [4, 4, 4] would "
            "do");
  c.parallel.stage_layers = {5, 4, 3};
  EXPECT_EQ(c.refusal(), "works");
}

TEST(LayoutCheck, TheGlobalBatchIsWholeMicroBatchesOfTheDataRanks) {
  Case c;
  c.training = {.steps = 10, .global_batch = 13, .micro_batch = 2};
  EXPECT_EQ(c.mesh(2, 1, 1).refusal(),
            "training.global_batch: training.global_batch 13 is not a multiple of training.micro_batch 2 x "
            "parallel.data 2 = 4: 12 or 16 would do");
  c.training = {.steps = 10, .global_batch = 24, .micro_batch = 2};
  EXPECT_EQ(c.mesh(5, 1, 1).refusal(),
            "training.global_batch: training.global_batch 24 is not a multiple of training.micro_batch 2 x "
            "parallel.data 5 = 10: 20 or 30 would do, or parallel.data 4 or 6; of 5 ranks, data 1 x pipeline 5 x "
            "tensor 1 works");
  c.training = {.steps = 10, .global_batch = 12, .micro_batch = 3};
  EXPECT_EQ(c.mesh(8, 1, 1).refusal(),
            "training.global_batch: training.global_batch 12 is not a multiple of training.micro_batch 3 x "
            "parallel.data 8 = 24: 24 would do, or parallel.data 4; of 8 ranks, data 4 x pipeline 1 x tensor 2 works");
}

TEST(LayoutCheck, InterleavedTakesMicroBatchesInGroupsOfTheStages) {
  Case c;
  c.parallel.schedule = PipelineKind::kInterleaved;
  c.parallel.chunks_per_stage = 2;
  c.training.global_batch = 14;
  EXPECT_EQ(c.mesh(2, 4, 1).refusal(),
            "training.global_batch: training.global_batch 14 / (training.micro_batch 1 x parallel.data 2) = 7 "
            "micro-batches are not a multiple of parallel.pipeline 4, as parallel.schedule interleaved has them: 8 or "
            "16 would do; of 8 ranks, data 1 x pipeline 2 x tensor 4 works");
  c.training.global_batch = 12;
  EXPECT_EQ(c.mesh(1, 5, 1).refusal(),
            "training.global_batch: training.global_batch 12 / (training.micro_batch 1 x parallel.data 1) = 12 "
            "micro-batches are not a multiple of parallel.pipeline 5, as parallel.schedule interleaved has them: 10 or "
            "15 would do, or parallel.pipeline 4 or 6");
}

TEST(LayoutCheck, DeterministicRanksHoldWholeSubtrees) {
  Case c;
  c.training.deterministic = true;
  EXPECT_EQ(c.mesh(4, 1, 1).refusal(),
            "training.deterministic: training.deterministic: training.global_batch 48 / (training.micro_batch 1 x "
            "parallel.data 4) = 12 micro-batches a rank, and only a power of two of them is a whole part of the "
            "summation tree: training.global_batch 32 or 64 would do; of 4 ranks, data 1 x pipeline 1 x tensor 4 "
            "works");
  c.parallel.zero = Zero::kGradients;
  EXPECT_EQ(c.refusal(), "works") << "ranks are summed first";
  EXPECT_EQ(c.mesh(3, 2, 2).refusal(),
            "training.deterministic: training.deterministic: parallel.zero 2 sums each micro-batch over parallel.data "
            "3 ranks first, and only a power of two of them is a whole part of the summation tree: parallel.data 2 or "
            "4 would do; of 12 ranks, data 2 x pipeline 3 x tensor 2 works");
  EXPECT_EQ(c.mesh(48, 1, 1).refusal(), "works") << "one micro-batch each";
}

TEST(LayoutCheck, AJobOfOtherRanksIsToldAMeshThatFits) {
  const Case c = Case().mesh(4, 2, 2);
  const auto wrong = check_ranks(c.model, c.training, c.parallel, 12);
  ASSERT_TRUE(wrong);
  EXPECT_EQ(wrong->message,
            "parallel.data 4 x parallel.pipeline 2 x parallel.tensor 2 = 16, but the job has 12 ranks: data 3 x "
            "pipeline 2 x tensor 2 works");
  EXPECT_FALSE(check_ranks(c.model, c.training, c.parallel, 16));
}

TEST(LayoutCheck, MoreRanksThanAnyMachineHasAreRefusedAtOnce) {
  EXPECT_EQ(Case().mesh(1 << 20, 1 << 20, 1 << 20).refusal(),
            "parallel.data: parallel.data 1048576 x parallel.pipeline 1048576 x parallel.tensor 1048576 are more than "
            "1048576 ranks");
}

/// Every proposal of every refusal is taken at its word.
TEST(LayoutCheck, WhatItProposesWorks) {
  int meshes = 0, values = 0;
  for (const int tensor : {1, 2, 3, 5, 8, 12, 16, 33})
    for (const int pipeline : {1, 2, 3, 5, 13})
      for (const int data : {1, 2, 3, 7, 16})
        for (const int chunks : {1, 2})
          for (const int flavour : {0, 1, 2}) {
            Case c;
            c.mesh(data, pipeline, tensor);
            c.parallel.chunks_per_stage = chunks;
            if (chunks > 1) c.parallel.schedule = PipelineKind::kInterleaved;
            c.training.deterministic = flavour > 0;
            if (flavour == 2) c.parallel.zero = Zero::kGradients;
            const std::string refusal = c.refusal();
            std::smatch found;
            if (std::regex_search(refusal, found, std::regex("data (\\d+) x pipeline (\\d+) x tensor (\\d+) works"))) {
              Case other = c;
              other.mesh(std::stoi(found[1]), std::stoi(found[2]), std::stoi(found[3]));
              EXPECT_EQ(other.parallel.mesh.ranks(), c.parallel.mesh.ranks()) << refusal;
              EXPECT_EQ(other.refusal(), "works") << refusal;
              ++meshes;
            }
            if (refusal.starts_with("parallel.tensor") &&
                std::regex_search(refusal, found, std::regex(": (\\d+)( or (\\d+))? (do|would do)"))) {
              for (const std::size_t group : {1U, 3U}) {
                if (!found[group].matched) continue;
                Case other = c;
                other.parallel.mesh.tensor = std::stoi(found[group]);
                EXPECT_FALSE(other.refusal().starts_with("parallel.tensor")) << refusal;
                ++values;
              }
            }
          }
  EXPECT_GT(meshes, 100);
  EXPECT_GT(values, 100);
}

}  // namespace
}  // namespace stoa::trainer

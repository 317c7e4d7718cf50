/// A small copy of an experiment keeps what layouts can depend on.
#include "stoa/trainer/verification/small_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "stoa/trainer/layout_check.h"
#include "stoa/trainer/verification/layouts.h"

namespace stoa::trainer {
namespace {

using parallel::MeshSize;
using parallel::PipelineKind;

/// As Llama 2 70B over 512 ranks.
StepSettings large_llama() {
  StepSettings large;
  large.model.family = ModelFamily::kLlama;
  large.model.layers = 80;
  large.model.width = 8192;
  large.model.heads = 64;
  large.model.key_value_heads = 8;
  large.model.feed_forward_width = 28672;
  large.model.vocabulary_size = 32000;
  large.model.context_length = 4096;
  large.model = resolved(large.model);
  large.training = {.steps = 1000, .global_batch = 1024, .micro_batch = 1, .deterministic = true};
  large.training.recompute = Recompute::kSelective;
  large.parallel.mesh = {.data = 16, .pipeline = 4, .tensor = 8};
  large.parallel.schedule = PipelineKind::kInterleaved;
  large.parallel.chunks_per_stage = 5;
  large.parallel.zero = Zero::kOptimizer;
  return large;
}

TEST(VerificationSmallModel, MeshesKeepTheAxesThatAreCut) {
  EXPECT_EQ(scaled_down({64, 4, 8}, 8), (MeshSize{2, 2, 2}));
  EXPECT_EQ(scaled_down({512, 1, 1}, 8), (MeshSize{8, 1, 1}));
  EXPECT_EQ(scaled_down({12, 1, 2}, 8), (MeshSize{3, 1, 2}));
  EXPECT_EQ(scaled_down({1, 3, 2}, 8), (MeshSize{1, 3, 2}));
  EXPECT_EQ(scaled_down({1, 1, 1}, 8), (MeshSize{1, 1, 1}));
  EXPECT_EQ(scaled_down({1, 16, 8}, 8), (MeshSize{1, 2, 4}));
}

TEST(VerificationSmallModel, KeepsTheCompositionOfALargeOne) {
  const StepSettings large = large_llama(), small = small_settings(large);
  EXPECT_EQ(small.parallel.mesh, (MeshSize{2, 2, 2}));
  EXPECT_EQ(small.parallel.schedule, PipelineKind::kInterleaved);
  EXPECT_EQ(small.parallel.chunks_per_stage, 2);
  EXPECT_EQ(small.parallel.zero, Zero::kOptimizer);
  EXPECT_EQ(small.training.precision, large.training.precision);
  EXPECT_EQ(small.training.recompute, Recompute::kSelective);
  EXPECT_TRUE(small.training.deterministic);
  EXPECT_EQ(small.model.heads / small.model.key_value_heads, 4);
  EXPECT_GE(small.model.key_value_heads, 2);
  EXPECT_FALSE(*small.model.tied_embedding);
  EXPECT_LT(parameter_count(small.model), 100'000);
  EXPECT_EQ(check_layout(small.model, small.training, small.parallel), std::nullopt);
}

TEST(VerificationSmallModel, SharedKeyValueHeadsStayShared) {
  StepSettings large = large_llama();
  large.parallel = {};
  large.parallel.mesh = {.data = 1, .pipeline = 1, .tensor = 16};
  const StepSettings small = small_settings(large);
  EXPECT_EQ(small.parallel.mesh.tensor, 8);
  EXPECT_LT(small.model.key_value_heads, 8);
  large.parallel.mesh.tensor = 8;
  EXPECT_EQ(small_settings(large).model.key_value_heads, 8);
}

TEST(VerificationSmallModel, UnevenStagesStayUneven) {
  StepSettings large = large_llama();
  large.parallel = {};
  large.parallel.mesh = {.data = 2, .pipeline = 4, .tensor = 1};
  large.parallel.stage_layers = {19, 20, 20, 21};
  const StepSettings small = small_settings(large);
  EXPECT_EQ(small.parallel.stage_layers, (std::vector<std::int64_t>{1, 1, 1, 2}));
  EXPECT_EQ(small.model.layers, 5);
}

TEST(VerificationSmallModel, OddMeshesHaveABatch) {
  for (const MeshSize& mesh : {MeshSize{3, 1, 1}, MeshSize{1, 1, 3}, MeshSize{5, 1, 1}, MeshSize{1, 3, 2}}) {
    StepSettings large = large_llama();
    large.model.heads = large.model.key_value_heads = 12;
    large.parallel = {};
    large.parallel.mesh = mesh;
    const StepSettings small = small_settings(large);
    EXPECT_EQ(small.parallel.mesh, mesh);
    EXPECT_EQ(check_layout(small.model, small.training, small.parallel), std::nullopt) << mesh_text(mesh);
  }
}

TEST(VerificationLayouts, TheOwnLayoutIsFirstAndAllAreDifferentAndWork) {
  const StepSettings small = small_settings(large_llama());
  for (const LayoutChoice choice : {LayoutChoice::kPairwise, LayoutChoice::kAll}) {
    const auto layouts = layouts_of(small, choice);
    EXPECT_EQ(layout_text(layouts.front()),
              "data 2 x pipeline 2 x tensor 2, zero 1, interleaved x 2, recompute selective");
    std::set<std::string> texts;
    for (const StepSettings& layout : layouts) {
      EXPECT_TRUE(texts.insert(layout_text(layout)).second) << layout_text(layout);
      EXPECT_EQ(check_layout(layout.model, layout.training, layout.parallel), std::nullopt);
      EXPECT_LE(layout.parallel.mesh.ranks(), kMostVerifiedRanks);
    }
  }
}

TEST(VerificationLayouts, APairwiseChoiceHasEveryMeshSizeScheduleStageAndRecomputation) {
  const StepSettings small = small_settings(large_llama());
  const auto layouts = layouts_of(small, LayoutChoice::kPairwise);
  EXPECT_LT(layouts.size(), 45U);
  std::set<int> tensor, pipeline, data, zero;
  std::set<std::string> schedules, recomputes;
  for (const StepSettings& layout : layouts) {
    tensor.insert(layout.parallel.mesh.tensor);
    pipeline.insert(layout.parallel.mesh.pipeline);
    data.insert(layout.parallel.mesh.data);
    zero.insert(int(layout.parallel.zero));
    schedules.insert(schedule_text(layout.parallel));
    recomputes.emplace(recompute_name(layout.training.recompute));
  }
  EXPECT_EQ(tensor, (std::set<int>{1, 2, 4, 8}));
  EXPECT_EQ(pipeline, (std::set<int>{1, 2, 3, 4}));
  EXPECT_EQ(data, (std::set<int>{1, 2, 4, 8}));
  EXPECT_EQ(zero, (std::set<int>{0, 1, 2}));
  EXPECT_EQ(schedules, (std::set<std::string>{"1f1b", "gpipe", "interleaved x 2", "zero_bubble"}));
  EXPECT_EQ(recomputes, (std::set<std::string>{"none", "selective", "full"}));
}

}  // namespace
}  // namespace stoa::trainer

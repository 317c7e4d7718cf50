#include "stoa/trainer/loop/rank_memory.h"

#include <gtest/gtest.h>

#include "stoa/tests/unit/trainer/model_cases.h"

namespace stoa::trainer {
namespace {

constexpr double kRounding = 2 << 20;  // each buffer ends with its last huge page

/// Activations of some tens of MiB, so that a huge page is little of them.
StepSettings settings_of(const ParallelSettings& parallel) {
  ModelSettings model = small_llama();
  model.layers = 4;
  model.context_length = 1025;
  return {.model = resolved(model),
          .training = {.steps = 1, .global_batch = 32, .micro_batch = 4, .precision = Precision::kFp32},
          .parallel = parallel,
          .optimizer = {}};
}

TEST(RankMemory, AStageKeepsTheMicroBatchesThatAreInFlightOnIt) {
  const StepSettings settings = settings_of({.mesh = {.pipeline = 4}, .stage_layers = {1, 1, 1, 1}});
  const auto activations = [&](int stage) {
    return double(plan_rank(settings, {.at = {.pipeline = stage}}).total(MemoryKind::kActivations));
  };
  EXPECT_EQ(activations_in_flight(settings, 0), 4);
  EXPECT_EQ(activations_in_flight(settings, 2), 2);
  EXPECT_NEAR(activations(0), 2 * activations(2), 2 * kRounding);
}

TEST(RankMemory, ATensorAxisOfTwoHalvesWhatProductsReadAndWrite) {
  const auto activations = [](int tensor) {
    return double(plan_rank(settings_of({.mesh = {.tensor = tensor}}), {}).total(MemoryKind::kActivations));
  };
  EXPECT_NEAR(activations(2), 0.5 * activations(1), 2 * kRounding);
}

TEST(RankMemory, ARankReachesIntoItsPartOfTheGradientsOfEachOtherRankOfItsNode) {
  const StepSettings settings = settings_of({.mesh = {.data = 4}});
  const auto reached = [&](int ranks_per_node) {
    for (const MemoryPart& part : plan_rank(settings, {.ranks_per_node = ranks_per_node}).parts)
      if (part.kind == MemoryKind::kNeighbours && part.name == "gradients, fp32") return double(part.size_bytes);
    return 0.0;
  };
  const double gradients = 4.0 * double(make_parameter_table(settings.model).gradient_elements);
  constexpr double kPages = 3 * 4096;  // each part ends with a page
  EXPECT_EQ(reached(1), 0);
  EXPECT_NEAR(reached(2), gradients / 2, kPages);
  EXPECT_NEAR(reached(4), gradients * 3 / 4, kPages);
}

TEST(RankMemory, MessagesWaitInTheMemoryOfBothStagesWhereTheyAreOnTwoNodes) {
  const StepSettings settings = settings_of({.mesh = {.pipeline = 2}});
  const auto bytes = [&](int ranks_per_node, MemoryKind kind) {
    for (const MemoryPart& part : plan_rank(settings, {.ranks_per_node = ranks_per_node}).parts)
      if (part.kind == kind && part.name == "messages between stages, under way") return part.size_bytes;
    return std::size_t{0};
  };
  EXPECT_GT(bytes(2, MemoryKind::kNeighbours), 0U);
  EXPECT_EQ(bytes(2, MemoryKind::kNeighbours), bytes(2, MemoryKind::kCommunication));
  EXPECT_EQ(bytes(1, MemoryKind::kNeighbours), 0U);
  EXPECT_EQ(bytes(1, MemoryKind::kCommunication), 2 * bytes(2, MemoryKind::kCommunication));
}

TEST(RankMemory, AProcessorWithoutProductsOfBf16KeepsThemWidened) {
  StepSettings settings = settings_of({});
  const auto workspace = [&](cpu::Isa isa) { return plan_rank(settings, {.isa = isa}).total(MemoryKind::kWorkspace); };
  EXPECT_EQ(workspace(cpu::Isa::kAvx2), workspace(cpu::Isa::kAvx512Bf16)) << "fp32 needs nothing";
  settings.training.precision = Precision::kBf16;
  const std::int64_t tokens = 4 * 1025, width = settings.model.width, inputs = 2 * settings.model.feed_forward_width;
  EXPECT_GE(workspace(cpu::Isa::kAvx2) - workspace(cpu::Isa::kAvx512Bf16),
            4U * std::size_t(tokens * width + width * inputs + tokens * inputs));
}

}  // namespace
}  // namespace stoa::trainer

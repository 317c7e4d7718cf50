/// Every layout up to 8 ranks gives the losses, gradients and update of one rank: the full cross of mesh and chunks
/// with family and tied embedding, on sizes that no axis divides.
#include <gtest/gtest.h>

#include <map>
#include <tuple>

#include "stoa/tests/unit/trainer/verification_cases.h"

namespace stoa::trainer {
namespace {

using parallel::PipelineKind;

constexpr int kMostRanks = 8;
constexpr int kLeastMicroBatches = 7;  // 63 tokens hold each of 31 ids

struct CrossCase {
  StepSettings settings;
  DocumentRules rules;
};

CrossCase cross_case(ModelFamily family, Tied tied) {
  const bool gpt2 = family == ModelFamily::kGpt2;
  CrossCase made{gpt2 ? verified_gpt2(tied) : verified_llama(tied), {gpt2, gpt2}};
  made.settings.model.layers = 8;
  return made;
}

/// As few micro-batches as the layout permits.
void fit_batch(StepSettings& settings) {
  const parallel::MeshSize& mesh = settings.parallel.mesh;
  const int group = settings.parallel.chunks_per_stage > 1 ? mesh.data * mesh.pipeline : mesh.data;
  settings.training.global_batch = (kLeastMicroBatches + group - 1) / group * group;
}

std::vector<StepSettings> every_layout(const StepSettings& base) {
  std::vector<StepSettings> layouts;
  for (int data = 1; data <= kMostRanks; ++data)
    for (int pipeline = 1; data * pipeline <= kMostRanks; ++pipeline)
      for (int tensor = 1; data * pipeline * tensor <= kMostRanks; ++tensor)
        for (int chunks = 1; chunks * pipeline <= base.model.layers; ++chunks) {
          StepSettings layout = base;
          layout.parallel.mesh = {data, pipeline, tensor};
          layout.parallel.chunks_per_stage = chunks;
          if (chunks > 1) layout.parallel.schedule = PipelineKind::kInterleaved;
          fit_batch(layout);
          if (!check_layout(layout.model, layout.training, layout.parallel)) layouts.push_back(layout);
        }
  return layouts;
}

class VerificationCross : public testing::TestWithParam<std::tuple<ModelFamily, Tied>> {};

TEST_P(VerificationCross, EveryLayoutGivesWhatOneRankGives) {
  const auto [family, tied] = GetParam();
  const CrossCase test = cross_case(family, tied);
  std::map<std::int64_t, LayoutRun> one_rank;  // by global batch
  const auto layouts = every_layout(test.settings);
  EXPECT_EQ(layouts.size(), 59U);
  for (const StepSettings& layout : layouts) {
    LayoutRun& one = one_rank[layout.training.global_batch];
    if (one.steps.empty()) one = run_one_rank(layout, test.rules);
    const Comparison found = compare(layout, run_plain(layout, test.rules), one);
    EXPECT_EQ(found.fault, std::nullopt) << layout_text(layout);
  }
}

INSTANTIATE_TEST_SUITE_P(Families, VerificationCross,
                         testing::Combine(testing::Values(ModelFamily::kLlama, ModelFamily::kGpt2),
                                          testing::Values(Tied::kNo, Tied::kYes)),
                         [](const auto& instance) {
                           const bool gpt2 = std::get<0>(instance.param) == ModelFamily::kGpt2;
                           return std::string(gpt2 ? "Gpt2" : "Llama") +
                                  (std::get<1>(instance.param) == Tied::kYes ? "Tied" : "Untied");
                         });

/// Deterministic: the same bits over data ranks, stages, chunks, schedules, ZeRO and recomputation.
TEST(VerificationBits, AreThoseOfOneRankOnEveryLayoutOfDataAndPipeline) {
  for (const ModelFamily family : {ModelFamily::kLlama, ModelFamily::kGpt2}) {
    CrossCase test = cross_case(family, Tied::kYes);
    test.settings.training.deterministic = true;
    test.settings.training.global_batch = 8;
    test.settings.model.layers = 4;
    const LayoutRun one = run_one_rank(test.settings, test.rules);
    int promised = 0;
    for (const StepSettings& layout : layouts_of(test.settings, LayoutChoice::kPairwise)) {
      if (!bounds_of(layout).same_bits) continue;
      ++promised;
      const Comparison found = compare(layout, run_plain(layout, test.rules), one);
      EXPECT_TRUE(found.same_bits) << layout_text(layout);
      EXPECT_EQ(found.fault, std::nullopt) << layout_text(layout);
    }
    EXPECT_GT(promised, 12);
  }
}

}  // namespace
}  // namespace stoa::trainer

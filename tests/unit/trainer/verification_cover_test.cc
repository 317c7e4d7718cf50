/// Every two settings that can meet are verified together: meshes, schedules, chunks, uneven stages, ZeRO and
/// deterministic sums with family, tied embedding, precision, recomputation, dropout, z-loss, documents, key-value
/// heads and micro-batches. Runs under ThreadSanitizer too.
#include <gtest/gtest.h>

#include <array>

#include "stoa/tests/unit/trainer/verification_cases.h"
#include "stoa/trainer/verification/pairwise.h"

namespace stoa::trainer {
namespace {

using parallel::PipelineKind;

constexpr std::array kSchedules = {PipelineKind::kOneForwardOneBackward, PipelineKind::kGpipe,
                                   PipelineKind::kInterleaved, PipelineKind::kZeroBubble};
constexpr std::array kMeshSizes = {1, 2, 3, 4, 8};
constexpr int kSizes = int(kMeshSizes.size());

// Axes of a layout, which permit each other or not; then those that are free.
const std::vector<int> kLayoutSizes = {kSizes, 4, kSizes, 4, 3, 2, 2};
const std::vector<int> kFreeSizes = {2, 2, 2, 3, 2, 2, 3, 2, 2};

struct CoverCase {
  StepSettings settings;
  DocumentRules rules;
};

void set_layout(StepSettings& settings, const Combination& chosen) {
  ParallelSettings& parallel = settings.parallel;
  parallel.mesh = {kMeshSizes[std::size_t(chosen[0])], kMeshSizes[std::size_t(chosen[1])],
                   kMeshSizes[std::size_t(chosen[2])]};
  parallel.schedule = kSchedules[std::size_t(chosen[3])];
  parallel.chunks_per_stage = parallel.schedule == PipelineKind::kInterleaved ? 2 : 1;
  parallel.zero = Zero(chosen[4]);
  settings.training.deterministic = chosen[6] == 1;
  // Four micro-batches of each data rank: a whole part of the tree, and whole groups of 2 and 4 stages.
  settings.training.global_batch = settings.training.micro_batch * parallel.mesh.data * 4;
  if (parallel.mesh.data == 1) settings.training.global_batch *= 2;
  const int chunks = parallel.mesh.pipeline * parallel.chunks_per_stage;
  if (chosen[5] == 0) return;
  parallel.stage_layers.assign(std::size_t(chunks), 1);
  parallel.stage_layers[std::size_t(chunks / 2)] += settings.model.layers - chunks;
}

CoverCase cover_case(const Combination& chosen) {
  const auto free = [&](std::size_t axis) { return chosen[kLayoutSizes.size() + axis]; };
  const Tied tied = free(1) == 1 ? Tied::kYes : Tied::kNo;
  CoverCase made{free(0) == 1 ? verified_gpt2(tied) : verified_llama(tied), {free(6) > 0, free(6) > 1}};
  ModelSettings& model = made.settings.model;
  model.layers = 5;
  model.dropout = free(4) == 1 ? 0.1 : 0;
  model.key_value_heads = free(7) == 1 ? 8 : 2;
  TrainingSettings& training = made.settings.training;
  training.precision = free(2) == 1 ? Precision::kBf16 : Precision::kFp32;
  training.recompute = Recompute(free(3));
  training.z_loss = free(5) == 1 ? 1e-3 : 0;
  training.micro_batch = free(8) == 1 ? 3 : 1;
  set_layout(made.settings, chosen);
  return made;
}

bool can_be(const Combination& layout) {
  Combination chosen = layout;
  chosen.resize(kLayoutSizes.size() + kFreeSizes.size(), 0);
  const StepSettings settings = cover_case(chosen).settings;
  const ParallelSettings& parallel = settings.parallel;
  if (parallel.mesh.ranks() > 8) return false;
  if (parallel.mesh.data == 1 && parallel.zero != Zero::kNone) return false;
  if (parallel.mesh.pipeline == 1 && (parallel.schedule != PipelineKind::kOneForwardOneBackward || layout[5] == 1))
    return false;
  return !check_layout(settings.model, settings.training, parallel);
}

const std::vector<Combination>& cover() {
  static const std::vector<Combination> combinations = pairwise_cover(full_cross(kLayoutSizes, can_be), kFreeSizes);
  return combinations;
}

std::string text_of(const CoverCase& test) {
  const StepSettings& s = test.settings;
  return fmt::format("{}; {} tied {} kv {} bf16 {} dropout {} z {} documents {} {} micro {} deterministic {}",
                     layout_text(s), s.model.family == ModelFamily::kGpt2 ? "gpt2" : "llama", *s.model.tied_embedding,
                     s.model.key_value_heads, s.training.precision == Precision::kBf16, s.model.dropout,
                     s.training.z_loss, test.rules.mask, test.rules.reset_positions, s.training.micro_batch,
                     s.training.deterministic);
}

constexpr std::size_t kParts = 4;  ///< tests that share the work

class VerificationThreadRanksCover : public testing::TestWithParam<std::size_t> {};

TEST_P(VerificationThreadRanksCover, EveryPairOfSettingsGivesWhatOneRankGives) {
  for (std::size_t i = GetParam(); i < cover().size(); i += kParts) {
    const CoverCase test = cover_case(cover()[i]);
    ASSERT_EQ(check_layout(test.settings.model, test.settings.training, test.settings.parallel), std::nullopt)
        << text_of(test);
    const LayoutRun one = run_one_rank(test.settings, test.rules);
    const Comparison found = compare(test.settings, run_plain(test.settings, test.rules), one);
    EXPECT_EQ(found.fault, std::nullopt) << text_of(test);
  }
}

INSTANTIATE_TEST_SUITE_P(Parts, VerificationThreadRanksCover, testing::Range(std::size_t{0}, kParts));

TEST(VerificationCover, HasEveryLayoutAxisAndIsSmall) {
  EXPECT_GT(cover().size(), 25U);
  EXPECT_LT(cover().size(), 70U);
}

}  // namespace
}  // namespace stoa::trainer

/// Layouts give on the ranks of an MPI job what one rank gives, which every rank computes for itself. Every rank runs
/// every test; the job fails where one rank's test fails.
#include <gtest/gtest.h>

#include "stoa/parallel/mpi_communicator.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/tests/unit/trainer/verification_cases.h"

namespace stoa::trainer {
namespace {

using parallel::MpiCommunicator;
using parallel::NodePath;

parallel::MpiSession* session = nullptr;

enum class Selection { kAll, kEveryThird };

/// On every mesh of the job's ranks, with every schedule and stage of ZeRO.
std::vector<StepSettings> layouts_of_job(const StepSettings& base, int ranks, Selection selection) {
  std::vector<StepSettings> layouts;
  int number = 0;
  for (StepSettings& layout : layouts_of(base, LayoutChoice::kAll)) {
    if (layout.parallel.mesh.ranks() != ranks || layout.training.recompute != base.training.recompute) continue;
    if (selection == Selection::kAll || number++ % 3 == 0) layouts.push_back(std::move(layout));
  }
  return layouts;
}

/// Rank 0 has the tensors: it compares and tells the others.
bool is_equal(const StepSettings& layout, const DocumentRules& rules, const LayoutRun& one, cpu::Queue& queue,
              NodePath path) {
  MpiCommunicator job(*session, kVerificationDeadline_s, path);
  const LayoutRun run = run_layout(queue, layout, samples_for(layout, rules), job);
  if (job.rank() == 0) {
    const Comparison found = compare(layout, run, one);
    EXPECT_EQ(found.fault, std::nullopt) << layout_text(layout);
    return job.all_agree(!found.fault, "comparison with one rank");
  }
  return job.all_agree(true, "comparison with one rank");
}

void expect_layouts(const StepSettings& base, const DocumentRules& rules, NodePath path, Selection selection) {
  cpu::Queue queue({.threads = 1, .pinned = {}});
  parallel::OneRank alone;
  const LayoutRun one = run_layout(queue, one_rank_of(base), samples_for(base, rules), alone);
  const int ranks = MpiCommunicator(*session, kVerificationDeadline_s, path).size();
  const auto layouts = layouts_of_job(base, ranks, selection);
  EXPECT_GE(layouts.size(), 1U);
  for (const StepSettings& layout : layouts)
    ASSERT_TRUE(is_equal(layout, rules, one, queue, path)) << layout_text(layout);
}

StepSettings with_precision(StepSettings settings, Precision precision) {
  settings.training.precision = precision;
  return settings;
}

TEST(MpiVerification, LlamaInNarrowPrecisionThroughSharedMemory) {
  expect_layouts(with_precision(verified_llama(Tied::kNo), Precision::kBf16), {}, NodePath::kSharedMemory,
                 Selection::kAll);
}

TEST(MpiVerification, TiedGpt2WithDropoutAndDocumentsThroughSharedMemory) {
  expect_layouts(verified_gpt2(Tied::kYes), {true, true}, NodePath::kSharedMemory, Selection::kAll);
}

TEST(MpiVerification, TiedGpt2WithDropoutAndDocumentsThroughMessages) {
  expect_layouts(verified_gpt2(Tied::kYes), {true, true}, NodePath::kMessages, Selection::kEveryThird);
}

TEST(MpiVerification, LlamaOnNodesOfTwoRanks) {
  expect_layouts(verified_llama(Tied::kNo), {}, NodePath::kPairs, Selection::kEveryThird);
}

TEST(MpiVerification, DeterministicBitsAreThoseOfOneRank) {
  StepSettings settings = verified_llama(Tied::kYes);
  settings.training.deterministic = true;
  expect_layouts(settings, {}, NodePath::kSharedMemory, Selection::kAll);
}

}  // namespace
}  // namespace stoa::trainer

int main(int argc, char** argv) {
  stoa::parallel::MpiSession session;
  stoa::trainer::session = &session;
  testing::InitGoogleTest(&argc, argv);
  const bool passed = RUN_ALL_TESTS() == 0;
  stoa::parallel::MpiCommunicator end(session, 60);
  return end.all_agree(passed, "test results") ? 0 : 1;
}

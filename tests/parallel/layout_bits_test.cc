/// What a run computes does not depend on the number of ranks: the real programs under the real mpirun.
#include <gtest/gtest.h>

#include <cmath>

#include "stoa/tests/faults/training_run.h"

namespace stoa::faults {
namespace {

struct Layout {
  std::string name;
  std::vector<std::string> overrides;
};
std::ostream& operator<<(std::ostream& out, const Layout& layout) { return out << layout.name; }

class LayoutBits : public testing::TestWithParam<Layout> {
 protected:
  Curve curve_on(int ranks, std::vector<std::string> more = {}) {
    std::vector<std::string> overrides = GetParam().overrides;
    overrides.insert(overrides.end(), more.begin(), more.end());
    overrides.push_back(fmt::format("parallel.data={}", ranks));
    overrides.push_back("training.steps=13");
    overrides.push_back("checkpoint.every_steps=0");
    return folder_.curve(fmt::format("on{}", ranks), overrides);
  }

  TrainingFolder folder_;
};

TEST_P(LayoutBits, AreTheSameOnOneTwoAndFourRanks) {
  const Curve one = curve_on(1);
  ASSERT_EQ(one.steps.size(), 13u);
  ASSERT_EQ(one.evaluations.size(), 3u);
  EXPECT_LT(one.evaluations.at(13), one.evaluations.at(0)) << "it learns";
  EXPECT_EQ(first_difference(one, curve_on(2)), "");
  EXPECT_EQ(first_difference(one, curve_on(4)), "");
  EXPECT_TRUE(folder_.nothing_is_running());
}

INSTANTIATE_TEST_SUITE_P(Deterministic, LayoutBits,
                         testing::Values(Layout{"LlamaFp32", {}}, Layout{"LlamaBf16", {"training.precision=bf16"}},
                                         Layout{"Gpt2Fp32", {"model.family=gpt2", "model.key_value_heads=4"}},
                                         Layout{"Gpt2Bf16",
                                                {"model.family=gpt2", "model.key_value_heads=4",
                                                 "training.precision=bf16", "model.dropout=0.1"}},
                                         Layout{"LlamaBf16Documents",
                                                {"training.precision=bf16", "data.mask_documents=true",
                                                 "data.reset_positions=true"}}),
                         [](const auto& instance) { return instance.param.name; });

/// Elsewhere sums are taken in another order on other layouts. A loss is the mean of 264 numbers near 5 whose rounding
/// errors are about 1e-7 of them; over a dozen steps AdamW, which divides each gradient by its own size, makes at most
/// some ten times that of it.
TEST(FastSums, KeepLossesWithinRoundingOnTwoRanks) {
  TrainingFolder folder;
  const auto curve_on = [&](int ranks) {
    return folder.curve(fmt::format("on{}", ranks), {fmt::format("parallel.data={}", ranks), "training.steps=13",
                                                     "training.deterministic=false", "checkpoint.every_steps=0"});
  };
  const Curve one = curve_on(1), two = curve_on(2);
  ASSERT_EQ(one.steps.size(), 13u);
  ASSERT_EQ(two.steps.size(), 13u);
  for (const auto& [step, values] : one.steps)
    EXPECT_NEAR(two.steps.at(step)[0], values[0], 1e-5 * values[0]) << "step " << step;
}

}  // namespace
}  // namespace stoa::faults

/// A sharded optimizer on a mesh makes the same model as one rank does.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "stoa/parallel/tree_order.h"
#include "stoa/tests/unit/trainer/model_cases.h"
#include "stoa/tests/unit/trainer/optimizer_cases.h"

namespace stoa::trainer {
namespace {

/// The vocabularies are so large that a data rank owns a part of an embedding.
ModelSettings gpt2_of_four_layers() {
  ModelSettings model = small_gpt2();
  model.layers = 4;
  model.vocabulary_size = 1031;
  return model;
}

ModelSettings llama_of_four_layers() {
  ModelSettings model = small_llama();
  model.layers = 4;
  model.vocabulary_size = 1153;
  return model;
}

OptimizerCase one_rank(OptimizerCase test) {
  test.mesh = {};
  test.chunks_per_stage = 1;
  test.order = GradientsOrder::kPlain;
  test.state.zero = Zero::kNone;
  return test;
}

/// Sums in another order. A gradient is eight values up to 32 (and two such sums where tied), so its rounding error is
/// a few times 2^-24 * 512. AdamW divides by the size of the gradient: an error e in a gradient g moves an update of
/// 0.125 by 0.125 e / |g|; common e are 2^-17 and the smallest of some 2^16 gradients are about 2^-11, so three steps
/// move a parameter by less than 0.01.
constexpr double kGradientTolerance = 1e-4;
constexpr double kParameterTolerance = 2e-2;

void expect_near(const WholeTensors& actual, const WholeTensors& expected, double tolerance) {
  ASSERT_EQ(actual.size(), expected.size());
  for (const auto& [name, values] : expected) {
    const auto& other = actual.at(name);
    ASSERT_EQ(other.size(), values.size()) << name;
    for (std::size_t i = 0; i < values.size(); ++i)
      ASSERT_NEAR(other[i], values[i], tolerance) << name << ", element " << i;
  }
}

void expect_same(const TrainedModel& actual, const TrainedModel& expected) {
  EXPECT_EQ(actual.gradients, expected.gradients);
  EXPECT_EQ(actual.gradient_norms, expected.gradient_norms);
  EXPECT_EQ(actual.parameter_norms, expected.parameter_norms);
  EXPECT_EQ(actual.masters, expected.masters);
  EXPECT_EQ(actual.first_moments, expected.first_moments);
  EXPECT_EQ(actual.second_moments, expected.second_moments);
}

void expect_close(const TrainedModel& actual, const TrainedModel& expected) {
  expect_near(actual.gradients, expected.gradients, kGradientTolerance);
  expect_near(actual.masters, expected.masters, kParameterTolerance);
  for (std::size_t step = 0; step < expected.gradient_norms.size(); ++step) {
    EXPECT_NEAR(actual.gradient_norms[step], expected.gradient_norms[step], 1e-6 * expected.gradient_norms[step]);
    EXPECT_NEAR(actual.parameter_norms[step], expected.parameter_norms[step], 1e-4 * expected.parameter_norms[step]);
  }
}

/// Deterministic sums keep the bits where ranks hold whole subtrees.
bool keeps_bits(const OptimizerCase& test) {
  if (test.state.gradients.order != SumOrder::kTree) return false;
  if (test.state.zero == Zero::kGradients && test.mesh.data > 1) return std::has_single_bit(unsigned(test.mesh.data));
  return parallel::holds_whole_subtrees(test.mesh.data, test.global_micro_batches / test.mesh.data);
}

class Layouts {
 public:
  void expect_one_rank(const OptimizerCase& test) {
    SCOPED_TRACE(test.describe());
    const TrainedModel trained = train(test);
    const TrainedModel& one = reference(one_rank(test));
    if (keeps_bits(test) && test.mesh.tensor == 1)
      expect_same(trained, one);
    else
      expect_close(trained, one);
    if (keeps_bits(test)) {
      EXPECT_EQ(trained.gradients, one.gradients);
    }
  }

 private:
  const TrainedModel& reference(const OptimizerCase& test) {
    const std::string key = fmt::format("{} {} {}", test.describe(), test.global_micro_batches, int(test.isa));
    if (!references_.contains(key)) references_[key] = train(test);
    return references_[key];
  }

  std::map<std::string, TrainedModel> references_;
};

OptimizerCase case_of(const ModelSettings& model, const parallel::MeshSize& mesh, Zero zero, SumOrder order) {
  OptimizerCase test{.model = model, .mesh = mesh};
  test.global_micro_batches = mesh.data == 3 ? 6 : 8;
  test.state.zero = zero;
  test.state.gradients.order = order;
  test.state.bucket_bytes = 40000;  // two of four layers
  return test;
}

class OptimizerEveryLayout : public testing::TestWithParam<std::tuple<ModelFamily, Zero>> {};

TEST_P(OptimizerEveryLayout, MakesOneRanksModel) {
  const auto [family, zero] = GetParam();
  const ModelSettings model = family == ModelFamily::kGpt2 ? gpt2_of_four_layers() : llama_of_four_layers();
  Layouts layouts;
  for (const int data : {1, 2, 3, 4})
    for (const int pipeline : {1, 2, 3})
      for (const int tensor : {1, 2})
        for (const SumOrder order : {SumOrder::kFast, SumOrder::kTree})
          layouts.expect_one_rank(case_of(model, {data, pipeline, tensor}, zero, order));
}

INSTANTIATE_TEST_SUITE_P(TiedAndUntied, OptimizerEveryLayout,
                         testing::Combine(testing::Values(ModelFamily::kGpt2, ModelFamily::kLlama),
                                          testing::Values(Zero::kNone, Zero::kOptimizer, Zero::kGradients)),
                         [](const auto& test) {
                           const bool gpt2 = std::get<0>(test.param) == ModelFamily::kGpt2;
                           return (gpt2 ? "Gpt2Zero" : "LlamaZero") + std::to_string(int(std::get<1>(test.param)));
                         });

// Where a data rank's part begins decides which elements a vector instruction takes together.
TEST(OptimizerLayouts, TheProcessorsVectorsKeepTheBitsWhereverPartsBegin) {
  Layouts layouts;
  for (const int data : {2, 4})
    for (const Precision precision : {Precision::kFp32, Precision::kBf16}) {
      OptimizerCase test = case_of(gpt2_of_four_layers(), {.data = data}, Zero::kOptimizer, SumOrder::kTree);
      test.isa = cpu::detected_isa();
      test.state.precision = precision;
      layouts.expect_one_rank(test);
    }
}

// The pairwise cover that runs under ThreadSanitizer too.

TEST(OptimizerThreadRanksLayouts, EveryStageOfZeroInBothOrdersMakesOneRanksModel) {
  Layouts layouts;
  for (const Zero zero : {Zero::kNone, Zero::kOptimizer, Zero::kGradients})
    for (const SumOrder order : {SumOrder::kFast, SumOrder::kTree}) {
      layouts.expect_one_rank(case_of(gpt2_of_four_layers(), {2, 2, 1}, zero, order));
      layouts.expect_one_rank(case_of(llama_of_four_layers(), {2, 1, 2}, zero, order));
    }
}

TEST(OptimizerThreadRanksLayouts, GradientsMayComeInTheOrderOfAnySchedule) {
  Layouts layouts;
  for (const Zero zero : {Zero::kNone, Zero::kOptimizer, Zero::kGradients})
    for (const SumOrder sums : {SumOrder::kFast, SumOrder::kTree})
      for (const GradientsOrder order : {GradientsOrder::kInterleaved, GradientsOrder::kSplit}) {
        OptimizerCase test = case_of(gpt2_of_four_layers(), {2, 2, 1}, zero, sums);
        test.order = order;
        if (order == GradientsOrder::kInterleaved) test.chunks_per_stage = 2;
        layouts.expect_one_rank(test);
      }
}

TEST(OptimizerThreadRanksLayouts, NarrowPrecisionGathersCopiesAndWhatIsReadInFull) {
  Layouts layouts;
  for (const ModelSettings& model : {gpt2_of_four_layers(), llama_of_four_layers()})
    for (const Zero zero : {Zero::kNone, Zero::kOptimizer, Zero::kGradients}) {
      OptimizerCase test = case_of(model, {4, 1, 1}, zero, SumOrder::kTree);
      test.state.precision = Precision::kBf16;
      layouts.expect_one_rank(test);
    }
}

TEST(OptimizerThreadRanksLayouts, CopiesOfKeyValueHeadsAreSummedAmongTheRanksThatHoldThem) {
  Layouts layouts;
  ModelSettings model = llama_of_four_layers();
  model.heads = 8;
  for (const Zero zero : {Zero::kNone, Zero::kOptimizer, Zero::kGradients})
    layouts.expect_one_rank(case_of(model, {2, 1, 4}, zero, SumOrder::kTree));
}

TEST(OptimizerLayouts, ATiedModelOfOddSlicesHasTheSameOwnersOnAllTensorRanks) {
  Layouts layouts;
  ModelSettings model = gpt2_of_four_layers();
  model.heads = 4;
  model.head_width = 9;
  for (const int data : {2, 4})
    for (const Zero zero : {Zero::kOptimizer, Zero::kGradients})
      layouts.expect_one_rank(case_of(model, {data, 2, 4}, zero, SumOrder::kTree));
}

}  // namespace
}  // namespace stoa::trainer

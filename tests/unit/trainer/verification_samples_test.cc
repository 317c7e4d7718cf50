/// Drawn samples give every part of a model a gradient.
#include <gtest/gtest.h>

#include <set>

#include "stoa/tests/unit/trainer/verification_cases.h"

namespace stoa::trainer {
namespace {

struct Sample {
  std::vector<std::int32_t> inputs, targets, begins;
};

Sample read(const SyntheticSamples& samples, std::int64_t index, std::int64_t tokens) {
  Sample sample;
  for (auto* part : {&sample.inputs, &sample.targets, &sample.begins}) part->resize(std::size_t(tokens));
  samples.read(index, {sample.inputs, sample.targets, sample.begins});
  return sample;
}

TEST(VerificationSamples, AnyTwoVocabulariesOfTokensHoldEveryId) {
  const SyntheticSamples samples({.vocabulary_size = 33, .context_length = 11, .seed = 5, .rules = {}});
  for (const std::int64_t first : {0, 1, 65}) {
    std::set<std::int32_t> ids;
    for (std::int64_t i = first; i < first + 6; ++i)
      for (const std::int32_t id : read(samples, i, 11).inputs) ids.insert(id);
    EXPECT_EQ(ids.size(), 33U);
    EXPECT_EQ(*ids.begin(), 0);
    EXPECT_EQ(*ids.rbegin(), 32);
  }
}

TEST(VerificationSamples, TargetsAreTheNextTokensAcrossSamplesToo) {
  const SyntheticSamples samples({.vocabulary_size = 257, .context_length = 5, .seed = 5, .rules = {}});
  const Sample sample = read(samples, 7, 5), next = read(samples, 8, 5);
  EXPECT_EQ(std::vector(sample.targets.begin(), sample.targets.end() - 1),
            std::vector(sample.inputs.begin() + 1, sample.inputs.end()));
  EXPECT_EQ(sample.targets.back(), next.inputs.front());
}

TEST(VerificationSamples, DocumentsBeginInsideSomeSamplesAndNotInOthers) {
  const SyntheticSamples samples({.vocabulary_size = 33, .context_length = 11, .seed = 5, .rules = {true, true}});
  std::int32_t begins = 0;
  for (std::int64_t i = 0; i < 9; ++i) {
    const Sample sample = read(samples, i, 11);
    for (std::size_t t = 0; t < 11; ++t) {
      EXPECT_LE(sample.begins[t], std::int32_t(t));
      if (t > 0) {
        EXPECT_GE(sample.begins[t], sample.begins[t - 1]);
      }
    }
    if (i % 3 == 0) {
      EXPECT_EQ(sample.begins.back(), 0);
    }
    begins += sample.begins.back() > 0;
  }
  EXPECT_GT(begins, 3);
}

/// Rows without any gradient, as "embedding.weight row 3".
std::vector<std::string> rows_without_gradient(const WholeTensors& gradients) {
  std::vector<std::string> rows;
  for (const auto& [name, tensor] : gradients)
    for (std::int64_t row = 0; row < tensor.rows(); ++row) {
      const auto values = tensor.row(row);
      if (std::all_of(values.begin(), values.end(), [](float value) { return value == 0; }))
        rows.push_back(name + " row " + std::to_string(row));
    }
  return rows;
}

TEST(VerificationSamples, EveryRowOfEveryParameterHasAGradient) {
  for (const Tied tied : {Tied::kNo, Tied::kYes})
    for (const StepSettings& settings : {verified_llama(tied), verified_gpt2(tied)})
      for (const DocumentRules& rules : {DocumentRules{}, DocumentRules{true, true}}) {
        const LayoutRun run = run_one_rank(settings, rules);
        for (const StepOutcome& step : run.steps)
          EXPECT_EQ(rows_without_gradient(step.gradients), std::vector<std::string>());
      }
}

TEST(VerificationSamples, GradientsAreFarAboveRoundingBesideTheKeysBias) {
  for (const StepSettings& settings : {verified_llama(Tied::kNo), verified_gpt2(Tied::kNo)}) {
    const LayoutRun run = run_one_rank(settings, {});
    for (const auto& [name, tensor] : run.steps[0].gradients) {
      float largest = 0;
      for (const float value : tensor.values) largest = std::max(largest, std::abs(value));
      if (scale_parameter(name) == name)
        EXPECT_GT(largest, 1e-3) << name;
      else
        EXPECT_LT(largest, 1e-6) << name << ": softmax has changed";
    }
  }
}

}  // namespace
}  // namespace stoa::trainer

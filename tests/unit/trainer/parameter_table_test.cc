#include "stoa/trainer/model/parameter_table.h"

#include <gtest/gtest.h>

#include <set>

#include "stoa/tests/unit/trainer/model_cases.h"
#include "stoa/trainer/optimizer/adamw_optimizer.h"

namespace stoa::trainer {
namespace {

std::int64_t total_elements(const ParameterTable& table) {
  std::int64_t sum = 0;
  for (const Parameter& parameter : table.parameters) sum += parameter.elements;
  return sum;
}

const Parameter& find(const ParameterTable& table, const std::string& name) {
  for (const Parameter& parameter : table.parameters)
    if (parameter.name == name) return parameter;
  throw std::out_of_range(name);
}

/// Radford et al. 2019, as released.
ModelSettings gpt2_small() {
  ModelSettings model;
  model.family = ModelFamily::kGpt2;
  model.layers = 12;
  model.width = 768;
  model.heads = 12;
  model.vocabulary_size = 50257;
  model.context_length = 1024;
  return resolved(model);
}

/// arXiv 2307.09288, as released.
ModelSettings llama2_7b() {
  ModelSettings model;
  model.layers = 32;
  model.width = 4096;
  model.heads = 32;
  model.feed_forward_width = 11008;
  model.vocabulary_size = 32000;
  model.context_length = 4096;
  return resolved(model);
}

TEST(ParameterTable, HoldsAsManyParametersAsThePublishedModels) {
  EXPECT_EQ(total_elements(make_parameter_table(gpt2_small())), 124439808);
  EXPECT_EQ(total_elements(make_parameter_table(llama2_7b())), 6738415616);
}

TEST(ParameterTable, AgreesWithTheCountOfTheSettings) {
  for (const ModelSettings& model : {small_llama(), small_gpt2(), gpt2_small(), llama2_7b()})
    EXPECT_EQ(total_elements(make_parameter_table(model)), parameter_count(model));
}

TEST(ParameterTable, NamesAreUniqueAndPlacesDoNotOverlap) {
  for (const ModelSettings& model : {small_llama(), small_gpt2()}) {
    const ParameterTable table = make_parameter_table(model);
    std::set<std::string> names;
    std::int64_t end = 0;
    for (const Parameter& parameter : table.parameters) {
      EXPECT_TRUE(names.insert(parameter.name).second) << parameter.name;
      EXPECT_GE(parameter.offset, end) << parameter.name;
      end = parameter.offset + parameter.elements;
    }
    EXPECT_LE(end, table.elements);
    EXPECT_LE(table.elements, table.gradient_elements);
  }
}

TEST(ParameterTable, ProjectionsOfOneInputStandBackToBack) {
  const ParameterTable table = make_parameter_table(small_llama());
  for (std::int64_t layer = 0; layer < table.model.layers; ++layer) {
    const std::string prefix = "layers." + std::to_string(layer) + ".";
    const auto expect_follows = [&](const std::string& before, const std::string& after) {
      const Parameter& first = find(table, prefix + before);
      EXPECT_EQ(find(table, prefix + after).offset, first.offset + first.elements) << prefix + after;
    };
    expect_follows("attention.query.weight", "attention.key.weight");
    expect_follows("attention.key.weight", "attention.value.weight");
    expect_follows("feed_forward.gate.weight", "feed_forward.up.weight");
    EXPECT_EQ(table.layers[std::size_t(layer)].query_key_value, find(table, prefix + "attention.query.weight").offset);
  }
}

TEST(ParameterTable, ATiedHeadGathersItsGradientApart) {
  const ParameterTable tied = make_parameter_table(small_gpt2());
  EXPECT_EQ(tied.head, tied.embedding);
  EXPECT_GE(tied.head_gradient, tied.elements);
  EXPECT_EQ(tied.gradient_elements, tied.head_gradient + tied.padded_vocabulary * tied.model.width);
  const ParameterTable untied = make_parameter_table(small_llama());
  EXPECT_NE(untied.head, untied.embedding);
  EXPECT_EQ(untied.head_gradient, untied.head);
}

TEST(ParameterTable, PaddingStaysZeroThroughATrainingStep) {
  for (const ModelSettings& model : {small_llama(), small_gpt2()}) {
    const ParameterTable table = make_parameter_table(model);
    cpu::Queue queue({.threads = 1});
    ModelParameters parameters(table, Precision::kFp32);
    initialize_parameters(queue, table, 5, parameters.masters());
    const auto transformer = make_model(queue, table, parameters, Precision::kFp32, {.samples = 1});
    std::vector<std::int32_t> tokens(std::size_t(model.context_length), 3), targets(tokens.size(), 7);
    std::vector<float> gradients(std::size_t(table.gradient_elements), 0);
    transformer->train({.tokens_bt = tokens, .targets_bt = targets, .samples = 1}, {1, 0.1F}, gradients);
    AdamWOptimizer optimizer(queue, table, {}, united({{0, table.elements}}));
    optimizer.update(1, 0.1, 1, gradients, parameters);
    const auto masters = parameters.masters();
    std::vector<bool> used(gradients.size(), false);
    for (const Parameter& parameter : table.parameters)
      std::fill_n(used.begin() + parameter.offset, parameter.elements, true);
    std::fill_n(used.begin() + table.head_gradient, model.vocabulary_size * model.width, true);
    std::int64_t padding = 0;
    for (std::size_t i = 0; i < gradients.size(); ++i) {
      if (used[i]) continue;
      ++padding;
      ASSERT_EQ(gradients[i], 0.0F) << i;
      ASSERT_TRUE(i >= masters.size() || masters[i] == 0.0F) << i;
    }
    EXPECT_GE(padding, (table.padded_vocabulary - model.vocabulary_size) * model.width);
  }
}

}  // namespace
}  // namespace stoa::trainer

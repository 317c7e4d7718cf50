#include "stoa/trainer/model/generation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/model_cases.h"

namespace stoa::trainer {
namespace {

struct Case {
  const char* name;
  ModelSettings model;
  Precision precision;
  /// fp32: the two ways sum in different orders, some hundred terms of order one. bf16: activations are rounded to 8
  /// bits at the same places, but a different order of a sum can fall on the other side of a rounding.
  double tolerance;
};

ModelSettings grouped_without_norm() {
  ModelSettings model = small_llama();
  model.query_key_norm = false;
  model.tied_embedding = true;
  model.context_length = 129;  // a prompt of more than two runs
  model.key_value_heads = 1;
  return model;
}

class Generation : public testing::TestWithParam<Case> {
 protected:
  Generation()
      : table_(make_parameter_table(GetParam().model)),
        queue_({.threads = 2}),
        parameters_(table_, GetParam().precision) {
    initialize_parameters(queue_, table_, 7, parameters_.masters());
    parameters_.refresh_copies(queue_);
    for (std::int64_t i = 0; i < table_.model.context_length; ++i)
      text_.push_back(static_cast<std::int32_t>((7 * i * i + 3 * i + 5) % table_.model.vocabulary_size));
  }

  /// -log of the probability of `token` at `position`, by the transformer's pass over the whole context.
  double full_loss(Model& model, std::int64_t position, std::int32_t token) {
    std::vector<std::int32_t> targets(text_.size(), -1);
    targets[std::size_t(position)] = token;
    return model.evaluate({.tokens_bt = text_, .targets_bt = targets, .samples = 1}).loss;
  }

  /// The largest difference of every 29th token's -log probability after `position` between generation and the whole
  /// pass.
  double furthest(std::span<const float> logits, Model& model, std::int64_t position) {
    double sum = 0, worst = 0;
    for (const float logit : logits) sum += std::exp(double(logit));
    for (std::int32_t token = 0; token < std::ssize(logits); token += 29)
      worst = std::max(
          worst, std::abs(std::log(sum) - double(logits[std::size_t(token)]) - full_loss(model, position, token)));
    return worst;
  }

  std::unique_ptr<Model> whole_pass() {
    return make_model(queue_, table_, parameters_, GetParam().precision, {.samples = 1, .use = ModelUse::kEvaluation});
  }
  std::unique_ptr<Generator> generator() { return make_generator(queue_, table_, parameters_, GetParam().precision); }
  std::span<const std::int32_t> text(std::int64_t from, std::int64_t count) const {
    return std::span(text_).subspan(std::size_t(from), std::size_t(count));
  }

  ParameterTable table_;
  cpu::Queue queue_;
  ModelParameters parameters_;
  std::vector<std::int32_t> text_;
};

TEST_P(Generation, TokenByTokenGivesTheLogitsOfTheWholePass) {
  const auto model = whole_pass();
  const auto generation = generator();
  for (std::int64_t position = 0; position < table_.model.context_length; ++position) {
    const auto logits = generation->read(text(position, 1));
    ASSERT_EQ(std::ssize(logits), table_.model.vocabulary_size);
    if (position % 8 != 0 && generation->room() != 0) continue;
    EXPECT_LE(furthest(logits, *model, position), GetParam().tolerance) << position;
  }
}

TEST_P(Generation, APromptReadAtOnceLeavesTheSameStateAsItsTokens) {
  const auto model = whole_pass();
  const auto generation = generator();
  const std::int64_t context = table_.model.context_length;
  EXPECT_LE(furthest(generation->read(text(0, context - 5)), *model, context - 6), GetParam().tolerance);
  EXPECT_LE(furthest(generation->read(text(context - 5, 3)), *model, context - 3), GetParam().tolerance);
  EXPECT_LE(furthest(generation->read(text(context - 2, 1)), *model, context - 2), GetParam().tolerance);
}

TEST_P(Generation, ARestartForgetsEverything) {
  const auto generation = generator();
  const auto first = generation->read(text(0, 5));
  const std::vector<float> before(first.begin(), first.end());
  generation->read(text(9, 11));
  generation->restart();
  const auto again = generation->read(text(0, 5));
  EXPECT_EQ(std::vector<float>(again.begin(), again.end()), before);
}

TEST_P(Generation, EndsWithTheContext) {
  const auto generation = generator();
  EXPECT_THROW(generation->read({}), InternalError);
  generation->read(text(0, table_.model.context_length - 1));
  EXPECT_EQ(generation->room(), 1);
  EXPECT_THROW(generation->read(text(0, 2)), InternalError);
  generation->read(text(0, 1));
  EXPECT_EQ(generation->room(), 0);
  EXPECT_EQ(generation->position(), table_.model.context_length);
}

INSTANTIATE_TEST_SUITE_P(Families, Generation,
                         testing::Values(Case{"llama_fp32", small_llama(), Precision::kFp32, 5e-6},
                                         Case{"llama_bf16", small_llama(), Precision::kBf16, 0.02},
                                         Case{"llama_one_key_value_head_fp32", grouped_without_norm(), Precision::kFp32,
                                              5e-6},
                                         Case{"gpt2_fp32", small_gpt2(), Precision::kFp32, 5e-6},
                                         Case{"gpt2_bf16", small_gpt2(), Precision::kBf16, 0.02}),
                         [](const testing::TestParamInfo<Case>& chosen) { return chosen.param.name; });

}  // namespace
}  // namespace stoa::trainer

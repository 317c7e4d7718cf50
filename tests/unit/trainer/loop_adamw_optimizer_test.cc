#include "stoa/trainer/optimizer/adamw_optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "stoa/tests/unit/trainer/loop_cases.h"
#include "stoa/tests/unit/trainer/model_cases.h"

namespace stoa::trainer {
namespace {

class LoopAdamW : public testing::Test {
 protected:
  /// Gradients of odd sizes on every element but the padding.
  std::vector<float> gradients() const {
    std::vector<float> values(std::size_t(table_.gradient_elements));
    for (const Parameter& parameter : table_.parameters)
      for (std::int64_t i = 0; i < parameter.elements; ++i)
        values[std::size_t(parameter.offset + i)] = float((i * 37 % 101) - 50) / 64.0F;
    return values;
  }

  const ParameterTable table_ = make_parameter_table(small_gpt2());
  const FlatRanges all_ = united({{0, table_.elements}});
  cpu::Queue queue_{loop_queue()};
};

TEST_F(LoopAdamW, DecaysParametersOfTwoDimsOnly) {
  ModelParameters parameters(table_, Precision::kFp32);
  for (float& master : parameters.masters()) master = 3;
  AdamWOptimizer optimizer(queue_, table_, {.weight_decay = 0.5}, all_);
  const std::vector<float> none(std::size_t(table_.gradient_elements));
  optimizer.update(1, 0.25, 0, none, parameters);
  for (const Parameter& parameter : table_.parameters)
    for (const std::int64_t i : {std::int64_t{0}, parameter.elements - 1})
      EXPECT_EQ(parameters.masters()[std::size_t(parameter.offset + i)],
                parameter.shape.size() == 2 ? 3 * (1 - 0.125F) : 3.0F)
          << parameter.name;
}

TEST_F(LoopAdamW, ClipsByTheGlobalNormOnlyWhatIsAboveIt) {
  const std::vector<float> values = gradients();
  const double norm = 33;
  const auto at = std::size_t(table_.parameters[1].offset);
  const auto moment = [&](double clip) {
    ModelParameters parameters(table_, Precision::kFp32);
    AdamWOptimizer optimizer(queue_, table_, {.beta1 = 0.5, .gradient_clip = clip}, all_);
    optimizer.update(1, 0.1, norm, values, parameters);
    return double(optimizer.first_moments()[at]);
  };
  const double unclipped = 0.5 * values[at];
  EXPECT_FLOAT_EQ(float(moment(norm / 10)), float(unclipped / 10));
  EXPECT_EQ(moment(norm * 2), unclipped);
  EXPECT_EQ(moment(0), unclipped);
}

TEST_F(LoopAdamW, TheFirstUpdateMovesEachParameterByTheLearningRateAgainstItsGradient) {
  const std::vector<float> values = gradients();
  ModelParameters parameters(table_, Precision::kBf16);
  AdamWOptimizer optimizer(queue_, table_, {.epsilon = 1e-12, .weight_decay = 0, .gradient_clip = 0}, all_);
  optimizer.update(1, 0.125, 1, values, parameters);
  for (std::size_t i = 0; i < std::size_t(table_.elements); ++i) {
    const float moved = values[i] > 0 ? -0.125F : values[i] < 0 ? 0.125F : 0.0F;
    ASSERT_NEAR(parameters.masters()[i], moved, 1e-6) << i;
    ASSERT_EQ(to_float(parameters.copies()[i]), to_float(to_bf16(parameters.masters()[i]))) << i;
  }
}

TEST_F(LoopAdamW, ThePaddingStaysZero) {
  ModelParameters parameters(table_, Precision::kFp32);
  initialize_parameters(queue_, table_, 1, parameters.masters());
  AdamWOptimizer optimizer(queue_, table_, {}, all_);
  const std::vector<float> values = gradients();
  for (const int step : {1, 2, 3}) optimizer.update(step, 0.1, 1, values, parameters);
  std::vector<bool> used(std::size_t(table_.elements));
  for (const Parameter& parameter : table_.parameters)
    for (std::int64_t i = 0; i < parameter.elements; ++i) used[std::size_t(parameter.offset + i)] = true;
  for (std::size_t i = 0; i < used.size(); ++i) {
    if (used[i]) continue;
    ASSERT_EQ(parameters.masters()[i], 0) << i;
  }
}

}  // namespace
}  // namespace stoa::trainer

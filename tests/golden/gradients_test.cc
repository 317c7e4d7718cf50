// Gradients of every parameter against PyTorch in double precision (tests/golden/pytorch/README.md).
#include <gtest/gtest.h>

#include "stoa/tests/golden/golden_model.h"

namespace stoa::golden {
namespace {

using trainer::Precision;

struct Gradients {
  trainer::ParameterTable table;
  trainer::LossSums sums;
  std::vector<float> values;
};

Gradients gradients_of(const Json& golden, Precision precision, int threads) {
  const trainer::ModelSettings model = model_of(golden["model"]);
  Gradients result{trainer::make_parameter_table(model), {}, {}};
  trainer::cpu::Queue queue({.threads = threads});
  trainer::ModelParameters parameters(result.table, precision);
  fill_by_formula(result.table, parameters.masters());
  parameters.refresh_copies(queue);
  const std::int64_t samples = golden["micro_batch"];
  const auto transformer = trainer::make_model(queue, result.table, parameters, precision, {.samples = samples});
  const FormulaBatch batch(model, 0, samples, golden.value("documents", Json::array()));
  const auto tokens = static_cast<float>(samples * model.context_length);
  result.values.assign(static_cast<std::size_t>(result.table.gradient_elements), 0.0F);
  result.sums = transformer->train(batch.view(), {1 / tokens, golden["z_loss"].get<float>()}, result.values);
  if (result.table.tied())
    for (std::int64_t i = 0; i < result.table.padded_vocabulary * model.width; ++i)
      result.values[static_cast<std::size_t>(result.table.embedding + i)] +=
          result.values[static_cast<std::size_t>(result.table.head_gradient + i)];
  result.sums.loss /= tokens;
  result.sums.z /= tokens;
  return result;
}

/// The largest difference of a gradient from the golden one, relative to that gradient's root mean square, or to a
/// hundredth of the largest one where that is more: a key bias cancels in the softmax, so its gradient is rounding
/// noise around zero.
struct Difference {
  double furthest = 0;          ///< of any element, root mean square or sum
  double root_mean_square = 0;  ///< of the sixteen elements, in the parameter where it is largest
};
Difference difference(const Json& golden, const Gradients& got) {
  Difference worst;
  double largest = 0;
  for (const trainer::Parameter& parameter : got.table.parameters) {
    const double squares = golden["parameters"][parameter.name]["sum_of_squares"];
    largest = std::max(largest, std::sqrt(squares / static_cast<double>(parameter.elements)));
  }
  for (const trainer::Parameter& parameter : got.table.parameters) {
    const Json& wanted = golden["parameters"][parameter.name];
    const auto values =
        std::span(got.values)
            .subspan(static_cast<std::size_t>(parameter.offset), static_cast<std::size_t>(parameter.elements));
    double squares = 0, sum = 0;
    for (const float value : values) {
      squares += double(value) * double(value);
      sum += double(value);
    }
    const auto n = static_cast<double>(parameter.elements);
    const double wanted_squares = wanted["sum_of_squares"], rms = std::sqrt(wanted_squares / n);
    const auto note = [&](double absolute, const char* what) {
      const double relative = absolute / std::max(rms, largest / 100);
      worst.furthest = std::max(worst.furthest, relative);
      EXPECT_TRUE(std::isfinite(relative)) << parameter.name << " " << what;
      return relative * relative;
    };
    note(std::abs(std::sqrt(squares / n) - rms), "root mean square");
    note(std::abs(sum - wanted["sum"].get<double>()) / std::sqrt(n), "sum");
    double element_squares = 0;
    for (int k = 0; k < 16; ++k) {
      const auto at = static_cast<std::size_t>((7919 * k + 13) % parameter.elements);
      element_squares +=
          note(std::abs(double(values[at]) - wanted["elements"][static_cast<std::size_t>(k)].get<double>()), "element");
    }
    worst.root_mean_square = std::max(worst.root_mean_square, std::sqrt(element_squares / 16));
  }
  return worst;
}

class GoldenGradients : public testing::TestWithParam<int> {
 protected:
  static Json golden() { return read_golden("gradients.json")["cases"][static_cast<std::size_t>(GetParam())]; }
};

// fp32 sums of up to a few hundred terms: 1e-7 * sqrt(terms) per product, through two or three layers.
TEST_P(GoldenGradients, OfAllParametersAgreeWithPyTorchInFp32) {
  const Json wanted = golden();
  const Gradients got = gradients_of(wanted, Precision::kFp32, 1);
  EXPECT_NEAR(got.sums.loss, wanted["loss"].get<double>(), 5e-6);
  EXPECT_NEAR(got.sums.z, wanted["mean_squared_lse"].get<double>(), 5e-5);
  EXPECT_LT(difference(wanted, got).furthest, 5e-5) << wanted["name"];
}

// bf16 keeps 8 bits: operands are off by up to 2^-9, root mean square 2^-9 / sqrt(3) = 1.1e-3. A gradient has passed
// some 2 x 12 products and activations, each adding such an error in two operands and one result: sqrt(72) * 1.1e-3 =
// 1e-2, and where terms cancel (a bias, a norm's weight) the sum is several times smaller than its terms. Single
// elements stand out further, so the mean over sixteen is what is bounded.
TEST_P(GoldenGradients, OfAllParametersAgreeWithPyTorchInBf16) {
  const Json wanted = golden();
  const Gradients got = gradients_of(wanted, Precision::kBf16, 1);
  EXPECT_NEAR(got.sums.loss, wanted["loss"].get<double>(), 1e-2);
  EXPECT_LT(difference(wanted, got).root_mean_square, 0.08) << wanted["name"];
}

TEST_P(GoldenGradients, HaveTheSameBitsForAnyNumberOfThreads) {
  const Json wanted = golden();
  for (const Precision precision : {Precision::kFp32, Precision::kBf16})
    EXPECT_EQ(gradients_of(wanted, precision, 1).values, gradients_of(wanted, precision, 2).values);
}

INSTANTIATE_TEST_SUITE_P(PyTorch, GoldenGradients, testing::Range(0, 7), [](const auto& instance) {
  return read_golden("gradients.json")["cases"][static_cast<std::size_t>(instance.param)]["name"]
      .template get<std::string>();
});

}  // namespace
}  // namespace stoa::golden

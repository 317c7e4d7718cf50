#include "stoa/trainer/model/initial_weights.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/kernel_cases.h"
#include "stoa/tests/unit/trainer/share_cases.h"

namespace stoa::trainer {
namespace {

constexpr std::uint64_t kSeed = 7;

std::vector<float> initialized(cpu::Queue& queue, const ParameterTable& table) {
  std::vector<float> masters(std::size_t(table.elements), 0);
  initialize_parameters(queue, table, kSeed, masters);
  return masters;
}

/// The whole model's values by name.
std::map<std::string, std::vector<float>> whole_values(cpu::Queue& queue, const ModelSettings& model) {
  const ParameterTable table = make_parameter_table(model);
  const std::vector<float> masters = initialized(queue, table);
  std::map<std::string, std::vector<float>> values;
  for (const Parameter& parameter : table.parameters)
    values[parameter.name].assign(masters.begin() + parameter.offset,
                                  masters.begin() + parameter.offset + parameter.elements);
  return values;
}

/// The elements of a parameter's box, from the whole tensor.
std::vector<float> slice_of(const std::vector<float>& whole, const Parameter& parameter) {
  const bool matrix = parameter.shape.size() == 2;
  const std::int64_t columns = matrix ? parameter.shape[1] : 1, first = matrix ? parameter.box.begin[1] : 0;
  std::vector<float> slice;
  for (std::int64_t row = parameter.box.begin[0]; row < parameter.box.begin[0] + parameter.box.size[0]; ++row) {
    const auto at = whole.begin() + row * columns + first;
    slice.insert(slice.end(), at, at + (matrix ? parameter.box.size[1] : 1));
  }
  return slice;
}

TEST(InitialWeights, OfAShareAreTheSliceOfTheWholeModelsOnEveryMeshAndInstructionSet) {
  for (const ModelSettings& model : models_to_share()) {
    cpu::Queue plain({.threads = 1, .isa = cpu::Isa::kPlain});
    const auto whole = whole_values(plain, model);
    on_each_isa(1, [&](cpu::Queue& queue) {
      for (const MeshShares& mesh : meshes_of(model))
        for (const ParameterTable& table : mesh.tables) {
          const std::vector<float> masters = initialized(queue, table);
          for (const Parameter& parameter : table.parameters) {
            const auto begin = masters.begin() + parameter.offset;
            ASSERT_EQ(std::vector<float>(begin, begin + parameter.elements),
                      slice_of(whole.at(parameter.name), parameter))
                << mesh.name << ": " << parameter.name;
          }
        }
    });
  }
}

TEST(InitialWeights, OfRangesAreTheSameAndNothingElseIsWritten) {
  cpu::Queue queue({.threads = 1});
  for (const ModelSettings& model : models_to_share()) {
    const ParameterTable table = make_parameter_table(model);
    const std::vector<float> whole = initialized(queue, table);
    const std::int64_t n = table.elements;
    const std::vector<parallel::Slice> ranges = {{1, 2}, {3, n / 5}, {n / 5, n / 2 + 1}, {n / 2 + 34, n - 3}};
    std::vector<float> expected(whole.size(), 0);
    for (const parallel::Slice& range : ranges)
      std::copy(whole.begin() + range.begin, whole.begin() + range.end, expected.begin() + range.begin);
    std::vector<float> flat(whole.size(), 0);
    initialize_parameters(queue, table, kSeed, flat, ranges);
    EXPECT_EQ(flat, expected);
  }
}

TEST(InitialWeights, HaveTheDeviationOfTheSettingsAndLessWhereTheyWriteIntoTheResidualStream) {
  cpu::Queue queue({.threads = 1});
  const ModelSettings model = small_gpt2();
  const ParameterTable table = make_parameter_table(model);
  const std::vector<float> masters = initialized(queue, table);
  for (const Parameter& parameter : table.parameters) {
    if (parameter.elements < 1000) continue;
    double squares = 0;
    for (std::int64_t i = 0; i < parameter.elements; ++i)
      squares += double(masters[std::size_t(parameter.offset + i)]) * masters[std::size_t(parameter.offset + i)];
    const double expected = parameter.initializer == Initializer::kResidualNormal
                                ? model.initial_std / std::sqrt(2.0 * double(model.layers))
                                : model.initial_std;
    // Six standard deviations of the deviation of a thousand values: 1 / sqrt(2000) each.
    EXPECT_NEAR(std::sqrt(squares / double(parameter.elements)) / expected, 1, 0.134) << parameter.name;
  }
}

TEST(InitialWeights, RefuseABufferThatIsNotTheTablesAndRangesOutOfIt) {
  cpu::Queue queue({.threads = 1});
  const ParameterTable table = make_parameter_table(small_llama());
  std::vector<float> buffer(std::size_t(table.elements)), shorter(buffer.size() - 1);
  EXPECT_THROW(initialize_parameters(queue, table, kSeed, shorter), InternalError);
  const parallel::Slice backward[] = {{16, 33}, {0, 16}};
  EXPECT_THROW(initialize_parameters(queue, table, kSeed, buffer, backward), InternalError);
  const parallel::Slice beyond[] = {{table.elements - 32, table.elements + 1}};
  EXPECT_THROW(initialize_parameters(queue, table, kSeed, buffer, beyond), InternalError);
}

}  // namespace
}  // namespace stoa::trainer

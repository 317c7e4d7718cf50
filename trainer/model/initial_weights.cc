#include "stoa/trainer/model/initial_weights.h"

#include <array>
#include <cmath>

#include "stoa/base/checksum.h"
#include "stoa/trainer/kernels/elementwise.h"
#include "stoa/trainer/kernels/random_normal.h"

namespace stoa::trainer {
namespace {

/// Where a box of a tensor of at most two dims has its elements in the tensor's row-major order.
NormalRows rows_of(const Parameter& parameter, const parallel::Box& box) {
  if (parameter.shape.size() == 1) return {box.begin[0], box.size[0], box.size[0]};
  const std::int64_t columns = parameter.shape[1];
  return {box.begin[0] * columns + box.begin[1], box.size[1], columns};
}

double standard_deviation(const ModelSettings& model, Initializer initializer) {
  return initializer == Initializer::kNormal ? model.initial_std
                                             : model.initial_std / std::sqrt(2.0 * double(model.layers));
}

}  // namespace

void initialize_parameters(cpu::Queue& queue, const ParameterTable& table, std::uint64_t seed, std::span<float> masters,
                           std::span<const parallel::Slice> ranges) {
  for (const ParameterPart& part : parameter_parts(table, ranges, masters.size())) {
    const Parameter& parameter = table.parameters[part.parameter];
    const auto values = masters.subspan(std::size_t(part.offset), std::size_t(part.box.elements()));
    if (parameter.initializer == Initializer::kZero) continue;
    if (parameter.initializer == Initializer::kOne) {
      fill(queue, 1, values);
      continue;
    }
    const PhiloxKey key =
        philox_key(seed, RandomPurpose::kInitialWeights, xxh3_64(std::as_bytes(std::span(parameter.name))));
    fill_normal(queue, key, float(standard_deviation(table.model, parameter.initializer)), rows_of(parameter, part.box),
                values);
  }
}

void initialize_parameters(cpu::Queue& queue, const ParameterTable& table, std::uint64_t seed,
                           std::span<float> masters) {
  initialize_parameters(queue, table, seed, masters, std::array{whole_range(table)});
}

}  // namespace stoa::trainer

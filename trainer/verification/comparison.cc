#include "stoa/trainer/verification/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

constexpr double kFp32Gradient = 0x1p-15;
constexpr double kBf16Gradient = 0x1p-5;
constexpr double kFp32Loss = 0x1p-18;
constexpr double kBf16Loss = 0x1p-9;

/// NaN is as far away as can be.
double apart(double a, double b) {
  const double difference = std::abs(a - b);
  return std::isnan(difference) ? std::numeric_limits<double>::infinity() : difference;
}

double relative(double value, double reference) {
  return value == reference ? 0.0 : apart(value, reference) / std::abs(reference);
}

double largest(const WholeTensor& tensor) {
  double most = 0;
  for (const float value : tensor.values) most = std::max(most, std::abs(double(value)));
  return most;
}

bool same_bits(const WholeTensors& a, const WholeTensors& b) {
  const auto same = [](float x, float y) { return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y); };
  for (const auto& [name, tensor] : a)
    if (!std::equal(tensor.values.begin(), tensor.values.end(), b.at(name).values.begin(), b.at(name).values.end(),
                    same))
      return false;
  return true;
}

bool same_bits(const StepOutcome& a, const StepOutcome& b) {
  return a.losses.loss == b.losses.loss && a.losses.z == b.losses.z && a.gradient_norm == b.gradient_norm &&
         same_bits(a.gradients, b.gradients);
}

bool same_bits(const LayoutRun& a, const LayoutRun& b) {
  return std::equal(a.steps.begin(), a.steps.end(), b.steps.begin(), b.steps.end(),
                    [](const StepOutcome& x, const StepOutcome& y) { return same_bits(x, y); }) &&
         same_bits(a.masters, b.masters);
}

/// Compares all gradients of the first step; returns the sum of all differences.
double compare_gradients(const WholeTensors& gradients, const WholeTensors& reference, Comparison& found) {
  double sum = 0;
  for (const auto& [name, expected] : reference) {
    const WholeTensor& actual = gradients.at(name);
    if (actual.shape != expected.shape) throw InternalError("{} has another shape on this layout", name);
    double most = 0;
    for (std::size_t i = 0; i < expected.values.size(); ++i) {
      const double difference = apart(actual.values[i], expected.values[i]);
      most = std::max(most, difference);
      sum += difference;
    }
    const double scaled = most == 0 ? 0 : most / largest(reference.at(scale_parameter(name)));
    if (scaled > found.gradient_difference || found.worst_parameter.empty()) found.worst_parameter = name;
    found.gradient_difference = std::max(found.gradient_difference, scaled);
  }
  return sum;
}

std::optional<std::string> beyond(std::string_view what, double difference, double bound) {
  if (difference <= bound) return std::nullopt;
  return fmt::format("{} differs by {:.2g}, the bound is {:.2g}", what, difference, bound);
}

std::optional<std::string> fault_of(const Comparison& c) {
  const std::string gradient = fmt::format("the gradient of {}", c.worst_parameter);
  if (auto fault = beyond(gradient, c.gradient_difference, c.bounds.gradient)) return fault;
  if (auto fault = beyond("the loss of step 1", c.loss_difference, c.bounds.loss)) return fault;
  if (auto fault = beyond("the gradient norm of step 1", c.norm_difference, c.bounds.gradient)) return fault;
  if (auto fault = beyond("the loss of step 2", c.second_loss_difference, c.second_loss_bound)) return fault;
  if (!c.bounds.same_bits || c.same_bits) return std::nullopt;
  return fmt::format(
      "bits differ, which training.deterministic promises not to happen: loss by {:.2g}, the gradient of {} by {:.2g} of "
      "its largest, the loss of step 2 by {:.2g}",
      c.loss_difference, c.worst_parameter, c.gradient_difference, c.second_loss_difference);
}

}  // namespace

std::string scale_parameter(const std::string& name) {
  constexpr std::string_view kKey = ".attention.key.bias";
  if (!name.ends_with(kKey)) return name;
  return name.substr(0, name.size() - kKey.size()) + ".attention.query.bias";
}

Bounds bounds_of(const StepSettings& settings) {
  const bool cut = settings.parallel.mesh.tensor > 1, narrow = settings.training.precision == Precision::kBf16;
  return {.same_bits = settings.training.deterministic && !cut,
          .loss = cut && narrow ? kBf16Loss : kFp32Loss,
          .gradient = cut && narrow ? kBf16Gradient : kFp32Gradient};
}

Comparison compare(const StepSettings& settings, const LayoutRun& layout, const LayoutRun& one) {
  Comparison found;
  found.bounds = bounds_of(settings);
  found.same_bits = same_bits(layout, one);
  const StepOutcome &first = layout.steps.at(0), &expected = one.steps.at(0);
  const StepOutcome &second = layout.steps.at(1), &expected_second = one.steps.at(1);
  const double moved = compare_gradients(first.gradients, expected.gradients, found);
  found.loss_difference =
      std::max(relative(first.losses.loss, expected.losses.loss), relative(first.losses.z, expected.losses.z));
  found.norm_difference = relative(first.gradient_norm, expected.gradient_norm);
  found.second_loss_difference = relative(second.losses.loss, expected_second.losses.loss);
  const double tokens = double(settings.training.global_batch * settings.model.context_length);
  const double mean_loss = expected_second.losses.loss / tokens;
  const bool narrow = settings.training.precision == Precision::kBf16;
  found.second_loss_bound =
      (narrow ? kBf16Loss : kFp32Loss) + 4 * settings.optimizer.learning_rate * moved / mean_loss;
  found.fault = fault_of(found);
  return found;
}

}  // namespace stoa::trainer

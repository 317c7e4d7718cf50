#include "stoa/trainer/verification/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

constexpr double kUnit = 0x1p-24;
constexpr double kFp32Gradient = 0x1p9 * kUnit;
constexpr double kBf16Gradient = 0x1p-4;
constexpr double kFp32Loss = 0x1p5 * kUnit;
constexpr double kBf16Loss = 0x1p-9;
constexpr double kUpdateRounding = 0x1p4 * kUnit;

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
         same_bits(a.gradients, b.gradients) && same_bits(a.masters, b.masters);
}

bool same_bits(const LayoutRun& a, const LayoutRun& b) {
  return std::equal(a.steps.begin(), a.steps.end(), b.steps.begin(), b.steps.end(),
                    [](const StepOutcome& x, const StepOutcome& y) { return same_bits(x, y); });
}

/// By whose largest gradient a parameter's differences are measured.
double scale_of(const std::string& name, const WholeTensors& gradients) {
  return largest(gradients.at(scale_parameter(name)));
}

void take_worse(WorstParameter& worst, const std::string& name, double difference) {
  if (difference > worst.difference) worst = {difference, name};
}

/// Calls body(name, tensor, expected tensor) for each parameter.
template <typename Body>
void each_parameter(const WholeTensors& tensors, const WholeTensors& reference, const Body& body) {
  for (const auto& [name, expected] : reference) {
    const WholeTensor& actual = tensors.at(name);
    if (actual.shape != expected.shape) throw InternalError("{} has another shape on this layout", name);
    body(name, actual, expected);
  }
}

WorstParameter worst_gradient(const StepOutcome& step, const StepOutcome& reference) {
  WorstParameter worst;
  each_parameter(step.gradients, reference.gradients, [&](const auto& name, const auto& actual, const auto& expected) {
    double most = 0;
    for (std::size_t i = 0; i < expected.values.size(); ++i)
      most = std::max(most, apart(actual.values[i], expected.values[i]));
    if (most > 0) take_worse(worst, name, most / scale_of(name, reference.gradients));
  });
  return worst;
}

WorstParameter worst_update(const StepOutcome& step, const StepOutcome& reference, double gradient_bound,
                            double learning_rate) {
  WorstParameter worst;
  each_parameter(step.masters, reference.masters, [&](const auto& name, const auto& actual, const auto& expected) {
    const std::vector<float>& gradients = reference.gradients.at(name).values;
    const double permitted = gradient_bound * scale_of(name, reference.gradients);
    for (std::size_t i = 0; i < expected.values.size(); ++i) {
      const double difference = apart(actual.values[i], expected.values[i]);
      if (difference == 0) continue;
      const double moved = 2 * learning_rate * std::min(1.0, permitted / std::abs(double(gradients[i])));
      const double rounding = kUpdateRounding * (learning_rate + std::abs(double(expected.values[i])));
      take_worse(worst, name, difference / (moved + rounding));
    }
  });
  return worst;
}

/// By how much masters that differ move the next step's mean loss, to first order.
double moved_loss(const LayoutRun& layout, const LayoutRun& one) {
  double moved = 0;
  each_parameter(layout.steps[0].masters, one.steps[0].masters,
                 [&](const auto& name, const auto& actual, const auto& expected) {
                   const std::vector<float>& gradients = one.steps[1].gradients.at(name).values;
                   for (std::size_t i = 0; i < expected.values.size(); ++i)
                     moved += apart(actual.values[i], expected.values[i]) * std::abs(double(gradients[i]));
                 });
  return moved;
}

std::optional<std::string> beyond(std::string_view what, double difference, double bound) {
  if (difference <= bound) return std::nullopt;
  return fmt::format("{} differs by {:.2g}, the bound is {:.2g}", what, difference, bound);
}

std::optional<std::string> fault_of(const Comparison& c) {
  if (auto fault = beyond("the gradient of " + c.gradient.name, c.gradient.difference, c.bounds.gradient)) return fault;
  if (auto fault = beyond("the loss of step 1", c.loss_difference, c.bounds.loss)) return fault;
  if (auto fault = beyond("the gradient norm of step 1", c.norm_difference, c.bounds.gradient)) return fault;
  if (c.update.difference > 1)
    return fmt::format("{} after one update differs by {:.2g} times the bound", c.update.name, c.update.difference);
  if (auto fault = beyond("the loss of step 2", c.second_loss_difference, c.second_loss_bound)) return fault;
  if (!c.bounds.same_bits || c.same_bits) return std::nullopt;
  return fmt::format(
      "bits differ where training.deterministic promises the same ones: losses by {:.2g} and {:.2g}, the gradient of "
      "{} by "
      "{:.2g}",
      c.loss_difference, c.second_loss_difference, c.gradient.name, c.gradient.difference);
}

}  // namespace

std::string scale_parameter(const std::string& name) {
  constexpr std::string_view kKey = ".attention.key.bias";
  if (!name.ends_with(kKey)) return name;
  return name.substr(0, name.size() - kKey.size()) + ".attention.query.bias";
}

void require_gradients(const LayoutRun& one) {
  for (const auto& [name, tensor] : one.steps.at(0).gradients)
    if (largest(tensor) == 0)
      throw NumericError("{} has no gradient on one rank: there is nothing to hold layouts against", name);
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
  const LossSums &second_losses = layout.steps.at(1).losses, &expected_second = one.steps.at(1).losses;
  found.loss_difference =
      std::max(relative(first.losses.loss, expected.losses.loss), relative(first.losses.z, expected.losses.z));
  found.norm_difference = relative(first.gradient_norm, expected.gradient_norm);
  found.gradient = worst_gradient(first, expected);
  found.update = worst_update(first, expected, found.bounds.gradient, settings.optimizer.learning_rate);
  found.second_loss_difference = relative(second_losses.loss, expected_second.loss);
  const double mean_loss =
      expected_second.loss / double(settings.training.global_batch * settings.model.context_length);
  const bool narrow = settings.training.precision == Precision::kBf16;
  found.second_loss_bound = (narrow ? kBf16Loss : kFp32Loss) + 2 * moved_loss(layout, one) / mean_loss;
  found.fault = fault_of(found);
  return found;
}

}  // namespace stoa::trainer

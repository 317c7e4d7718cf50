/// Bubbles of the pipeline schedules: what the papers give, what the simulation of the lists gives, and what the real
/// runner gives on thread ranks whose messages carry a clock. They should be one figure; where they are not, a list,
/// the runner or the formula's condition is to be looked at.
#include <fmt/format.h>

#include "stoa/tests/unit/parallel/pipeline_clock.h"

namespace stoa::parallel {
namespace {

using enum PipelineKind;

void report(const PipelineShape& shape, const StepCosts& costs) {
  const PipelineSimulation simulation =
      simulate_pipeline(shape, make_pipeline_schedule(shape), uniform_costs(shape, costs));
  const std::string published =
      bubble_is_published(shape, costs) ? fmt::format("{:.4f}", published_bubble(shape, costs)) : std::string("-");
  fmt::print("{:<13}{:>3}{:>3}{:>4}   {:g} {:g} {:g}{:>11}{:>11.4f}{:>9.4f}{:>10.2f}\n", pipeline_kind_name(shape.kind),
             shape.stages, shape.chunks, shape.micro_batches, costs.forward_s, costs.backward_input_s,
             costs.backward_weight_s, published, simulation.bubble, measured_bubble(shape, costs),
             double(simulation.most_in_flight.front()) / shape.chunks);
}

void report_all() {
  fmt::print(
      "bubble over ideal time; costs: forward, gradient of the input, of the weights; in flight: micro-batches "
      "whose activations the first stage keeps\n");
  fmt::print("{:<13}{:>3}{:>3}{:>4}   {:<5}{:>11}{:>11}{:>9}{:>10}\n", "kind", "p", "v", "m", "costs", "published",
             "simulated", "runner", "in flight");
  const StepCosts alike{}, light_weights{.forward_s = 3, .backward_input_s = 4, .backward_weight_s = 2};
  for (const StepCosts& costs : {alike, light_weights})
    for (const auto& [stages, micro_batches] : {std::pair(2, 8), std::pair(4, 8), std::pair(4, 32), std::pair(8, 24)}) {
      for (const PipelineKind kind : {kGpipe, kOneForwardOneBackward, kZeroBubble, kForwardOnly})
        report({.kind = kind, .stages = stages, .micro_batches = micro_batches}, costs);
      for (const PipelineKind kind : {kInterleaved, kForwardOnly})
        for (const int chunks : {2, 4})
          report({.kind = kind, .stages = stages, .chunks = chunks, .micro_batches = micro_batches}, costs);
    }
  // Outside of the formulas: fewer micro-batches than stages, a part of a group, weight gradients that cost most.
  report({.kind = kZeroBubble, .stages = 4, .micro_batches = 3}, alike);
  report({.kind = kZeroBubble, .stages = 4, .micro_batches = 9}, {.backward_weight_s = 2});
  report({.kind = kForwardOnly, .stages = 4, .chunks = 2, .micro_batches = 9}, alike);
}

}  // namespace
}  // namespace stoa::parallel

int main() { stoa::parallel::report_all(); }

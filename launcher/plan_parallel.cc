#include "stoa/launcher/plan_parallel.h"

#include <algorithm>
#include <numeric>

#include "stoa/launcher/plan.h"
#include "stoa/parallel/pipeline_simulation.h"
#include "stoa/trainer/loop/training_step.h"

namespace stoa::launcher {
namespace {

using parallel::MeshCoordinate;
using trainer::StepSettings;

/// Products of a forward pass, of one layer and of the head: relative costs.
struct ForwardCosts {
  double layer = 1, head = 0;
};

ForwardCosts forward_costs(const trainer::ModelSettings& model) {
  const double head = 2.0 * double(model.vocabulary_size) * double(model.width);
  const double all = trainer::training_flops_per_token(model) / 3;  // backward: twice the products
  return {(all - head) / double(model.layers), head};
}

parallel::PipelineCosts costs_of(const Experiment& experiment, const parallel::PipelineShape& shape) {
  const ForwardCosts costs = forward_costs(experiment.model);
  const double again = experiment.training.recompute == trainer::Recompute::kFull ? 1 : 0;
  parallel::PipelineCosts result = uniform_costs(shape, {});
  for (int stage = 0; stage < shape.stages; ++stage) {
    const auto share = model_share(experiment.model, experiment.parallel, {.pipeline = stage});
    for (int chunk = 0; chunk < shape.chunks; ++chunk) {
      const double layers = double(share.chunks[std::size_t(chunk)].size()) * costs.layer;
      const double head = shape.last(stage, chunk) ? costs.head : 0;
      // The head's three products are the backward pass's, its loss's too.
      result.steps[std::size_t(stage)][std::size_t(chunk)] = {
          .forward_s = layers, .backward_input_s = layers * (1 + again) + 3 * head, .backward_weight_s = layers};
    }
  }
  return result;
}

/// A rank's part of one array that n ranks gather or scatter.
double others(int ranks) { return double(ranks - 1) / double(ranks); }

StepTraffic traffic_of(const StepSettings& settings, const MeshCoordinate& at) {
  const parallel::MeshSize& mesh = settings.parallel.mesh;
  const trainer::ParameterTable table =
      make_parameter_table(settings.model, model_share(settings.model, settings.parallel, at));
  const double element = settings.training.precision == trainer::Precision::kBf16 ? 2 : 4;
  const double micro_batches = double(micro_batches_per_rank(settings.training, mesh));
  const double gradients = 4.0 * double(table.gradient_elements), parameters = element * double(table.elements);
  const double values = double(settings.training.micro_batch * settings.model.context_length * settings.model.width);
  StepTraffic traffic;
  switch (settings.parallel.zero) {
    case trainer::Zero::kNone:
      traffic.data = 2 * gradients;
      break;
    case trainer::Zero::kOptimizer:
      traffic.data = gradients + parameters;
      break;
    case trainer::Zero::kGradients:
      traffic.data = micro_batches * gradients + parameters;
      break;
  }
  traffic.data *= others(mesh.data);
  // A layer gathers its norms' outputs forward and again for the gradients of weights, and its branches' gradients;
  // it scatters fp32 terms of both branches forward and of both gradients backward.
  constexpr double kGathers = 6, kScatters = 4;
  traffic.tensor =
      micro_batches * double(table.layers.size()) * values * (kGathers * element + kScatters * 4) * others(mesh.tensor);
  const int chunks = settings.parallel.chunks_per_stage;
  const int onward = chunks - (at.pipeline == mesh.pipeline - 1 ? 1 : 0), back = chunks - (at.pipeline == 0 ? 1 : 0);
  if (mesh.pipeline > 1) traffic.pipeline = micro_batches * (onward + back) * 4 * values / mesh.tensor;
  return traffic;
}

}  // namespace

double idle_share(const Experiment& experiment) {
  const parallel::PipelineShape shape = pipeline_shape(step_settings(experiment));
  if (shape.stages == 1) return 0;
  const auto run = simulate_pipeline(shape, make_pipeline_schedule(shape), costs_of(experiment, shape));
  return std::reduce(run.idle_s.begin(), run.idle_s.end()) / (run.makespan_s * shape.stages);
}

StepTraffic step_traffic(const Experiment& experiment) {
  const StepSettings settings = step_settings(experiment);
  StepTraffic most;
  for (int stage = 0; stage < settings.parallel.mesh.pipeline; ++stage)
    most = std::max(most, traffic_of(settings, {.pipeline = stage}),
                    [](const StepTraffic& a, const StepTraffic& b) { return a.sum() < b.sum(); });
  return most;
}

}  // namespace stoa::launcher

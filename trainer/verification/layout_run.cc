#include "stoa/trainer/verification/layout_run.h"

#include "stoa/parallel/thread_ranks.h"
#include "stoa/trainer/kernels/philox.h"
#include "stoa/trainer/model/initial_weights.h"

namespace stoa::trainer {
namespace {

constexpr int kSteps = 2;
/// Of what is drawn upon parameters that begin as zeros or ones, whose gradients' errors would else not show: a bias of
/// zero may be added by every rank.
constexpr float kVectorStd = 0.125F;

float noise(PhiloxKey key, std::int64_t element) {
  const PhiloxBlock bits = philox_block(key, std::uint64_t(element));
  return kVectorStd * normal_pair(bits[0], bits[1])[0];
}

/// Numbers of parameters count up from 0; these streams count down, so that none is that of initial weights.
PhiloxKey key_of(const Parameter& parameter, std::uint64_t seed) {
  return philox_key(seed, RandomPurpose::kInitialWeights, ~std::uint64_t(parameter.number));
}

void draw_weights(cpu::Queue& queue, TrainingStep& step, std::uint64_t seed) {
  TrainingState& state = step.state();
  const auto masters = state.masters();
  initialize_parameters(queue, step.table(), seed, masters, state.owned());
  for (const ParameterPart& part : parameter_parts(step.table(), state.owned(), masters.size())) {
    const Parameter& parameter = step.table().parameters[part.parameter];
    if (parameter.initializer != Initializer::kZero && parameter.initializer != Initializer::kOne) continue;
    const PhiloxKey key = key_of(parameter, seed);
    for (std::int64_t i = 0; i < part.box.size[0]; ++i)  // vectors all
      masters[std::size_t(part.offset + i)] += noise(key, part.box.begin[0] + i);
  }
  state.gather_all();
}

}  // namespace

LayoutRun run_layout(cpu::Queue& queue, const StepSettings& settings, const SampleStream& samples,
                     parallel::Communicator& job) {
  TrainingStep step(queue, settings, make_mesh_groups(job, settings.parallel.mesh));
  draw_weights(queue, step, settings.training.seed);
  LayoutRun run;
  for (int number = 1; number <= kSteps; ++number) {
    StepOutcome outcome;
    outcome.losses = step.run(samples, number);
    outcome.gradients = gather_gradients(step);
    outcome.gradient_norm = step.state().gradient_norm();
    step.state().update(number, settings.optimizer.learning_rate, outcome.gradient_norm);
    outcome.masters = gather_masters(step);
    run.steps.push_back(std::move(outcome));
  }
  step.state().await_parameters();
  return run;
}

LayoutRun run_on_threads(const StepSettings& settings, const SampleStream& samples, cpu::Isa isa, double deadline_s) {
  LayoutRun result;
  parallel::run_thread_ranks(settings.parallel.mesh.ranks(), deadline_s, [&](parallel::Communicator& job) {
    cpu::Queue queue({.threads = 1, .pinned = {}, .isa = isa});
    LayoutRun run = run_layout(queue, settings, samples, job);
    if (job.rank() == 0) result = std::move(run);
  });
  return result;
}

StepSettings one_rank_of(const StepSettings& settings) {
  StepSettings one = settings;
  one.parallel = {};
  one.training.recompute = Recompute::kNone;
  return one;
}

SyntheticSamples samples_for(const StepSettings& settings, const DocumentRules& rules) {
  return SyntheticSamples({.vocabulary_size = settings.model.vocabulary_size,
                           .context_length = settings.model.context_length,
                           .seed = settings.training.seed,
                           .rules = rules});
}

}  // namespace stoa::trainer

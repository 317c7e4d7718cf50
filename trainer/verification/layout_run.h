#pragma once
/// Two steps of training on one layout, with everything that another layout must give too.
#include <vector>

#include "stoa/trainer/verification/synthetic_samples.h"
#include "stoa/trainer/verification/whole_tensors.h"

namespace stoa::trainer {

struct StepOutcome {
  LossSums losses;  ///< of the global batch
  double gradient_norm = 0;
  WholeTensors gradients;
  WholeTensors masters;  ///< after the step's update
};

struct LayoutRun {
  std::vector<StepOutcome> steps;  ///< two
};

/// Collective over the job, whose ranks are those of settings.parallel.mesh. Begins with drawn weights (no parameter is
/// zero or one), then for each step: forward, backward, reduction, gathering, one update of optimizer.learning_rate.
/// Tensors are on rank 0 alone; losses and norms are the same on all ranks. InternalError where the ranks' parts do not
/// tile the model or copies differ (gather_whole).
LayoutRun run_layout(cpu::Queue& queue, const StepSettings& settings, const SampleStream& samples,
                     parallel::Communicator& job);

/// The same on thread ranks of this process, one thread each. `deadline_s` is that of every collective.
LayoutRun run_on_threads(const StepSettings& settings, const SampleStream& samples, cpu::Isa isa, double deadline_s);

/// The layout that all others are held against: one rank, no recomputation, micro-batches one after the other.
StepSettings one_rank_of(const StepSettings& settings);

/// Samples that suit the settings' model.
SyntheticSamples samples_for(const StepSettings& settings, const DocumentRules& rules);

}  // namespace stoa::trainer

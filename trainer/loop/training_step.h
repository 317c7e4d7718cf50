#pragma once
/// The passes of one optimizer step on one rank of a mesh: its share of the model, its data rank's micro-batches, in the
/// order of the pipeline's schedule, and the reduction of gradients behind them. Training, evaluation and verification
/// of layouts use the same one.
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "stoa/parallel/background.h"
#include "stoa/parallel/mesh_groups.h"
#include "stoa/parallel/pipeline_runner.h"
#include "stoa/trainer/data/sample_stream.h"
#include "stoa/trainer/loop/batch.h"
#include "stoa/trainer/model/model.h"
#include "stoa/trainer/optimizer/training_state.h"

namespace stoa::trainer {

struct StepSettings {
  ModelSettings model;  ///< resolved
  TrainingSettings training;
  ParallelSettings parallel;
  OptimizerSettings optimizer;
};

/// Micro-batches of each data rank in one step. REQUIRES: check_training passed.
std::int64_t micro_batches_per_rank(const TrainingSettings& training, const parallel::MeshSize& mesh);
parallel::PipelineShape pipeline_shape(const StepSettings& settings);
TrainingStateSettings state_settings(const StepSettings& settings);
/// Of one stage; `plan` is its part of the schedule.
ModelShape model_shape(const StepSettings& settings, const parallel::PipelinePlan& plan);

class TrainingStep {
 public:
  /// Collective over the job. Allocates everything; nothing of size is allocated in a step after the first. Masters and
  /// moments are zero. Borrows the queue; takes the groups that it alone uses (data, tensor).
  TrainingStep(cpu::Queue& queue, const StepSettings& settings, parallel::MeshGroups groups);
  ~TrainingStep();

  const ParameterTable& table() const { return table_; }
  TrainingState& state() { return *state_; }
  const parallel::MeshGroups& groups() const { return groups_; }
  parallel::Background& data() { return data_; }

  /// Collective: forward and backward of the global batch of step `step` (from 1), whose samples follow those of the
  /// steps before. Afterwards the owned gradients are the global batch's. Returns its loss sums, the same on all ranks.
  LossSums run(const SampleStream& samples, std::int64_t step);

  /// Collective: cross entropy in nats of samples first .. first + count - 1, summed along the tree over micro-batches:
  /// the same bits on all ranks and on every layout of data ranks and stages.
  double evaluate(const SampleStream& samples, std::int64_t first, std::int64_t count);

 private:
  class Work;
  /// Losses of micro-batches by their number; of those that this rank has computed.
  LossSums sum_losses(std::vector<LossSums> losses);

  cpu::Queue& queue_;
  StepSettings settings_;
  parallel::MeshGroups groups_;
  parallel::Background data_;
  std::int64_t micro_batches_;
  parallel::PipelineShape shape_;
  parallel::PipelinePlan plan_;
  ParameterTable table_;
  std::unique_ptr<TrainingState> state_;
  std::unique_ptr<Model> model_;
  parallel::PipelineRunner runner_;
  Batch batch_;  ///< all samples of a data rank's step
};

}  // namespace stoa::trainer

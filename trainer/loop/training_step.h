#pragma once
/// The passes of one optimizer step on one rank of a mesh: its share of the model, its data rank's micro-batches, in
/// the order of the pipeline's schedule, and the reduction of gradients behind them. Training, evaluation and
/// verification of layouts use the same one.
#include <cstdint>
#include <functional>
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
/// Floats that go from chunk to chunk: this rank's rows of the residual stream of so many samples.
std::size_t message_floats(const ModelSettings& model, const ModelShare& share, std::int64_t samples);

class TrainingStep {
 public:
  /// Collective over the job. Allocates everything; nothing of size is allocated in a step after the first. Masters and
  /// moments are zero. Borrows the queue; takes the groups that it alone uses (data, tensor).
  TrainingStep(cpu::Queue& queue, const StepSettings& settings, parallel::MeshGroups groups);
  ~TrainingStep();

  const StepSettings& settings() const { return settings_; }
  const ParameterTable& table() const { return table_; }
  TrainingState& state() { return state_; }
  const parallel::MeshGroups& groups() const { return groups_; }
  /// Seconds that this rank has waited for sums and gathers over the data ranks, with nothing else to do.
  double waited_s() const { return data_.waited_s(); }

  /// Collective: forward and backward of the global batch of step `step` (from 1), whose samples follow those of the
  /// steps before. Afterwards the owned gradients are the global batch's. Returns its loss sums, the same on all ranks.
  LossSums run(const SampleStream& samples, std::int64_t step);

  /// Collective: forward alone over samples 0 .. count - 1, cut into micro-batches that the data ranks share. Each
  /// micro-batch is tallied on one rank.
  using EvaluationTally = std::function<void(std::int64_t number, const MicroBatch& batch, const LossSums& sums)>;
  void evaluate(const SampleStream& samples, std::int64_t count, const EvaluationTally& tally);

 private:
  class Work;
  class Training;
  class Evaluation;

  /// In the global batch, of a micro-batch of this data rank.
  std::int64_t number(std::int64_t micro_batch) const;
  /// Of losses by number; the same bits on every layout of data ranks and stages.
  LossSums tree_sum(std::vector<LossSums>& losses);

  StepSettings settings_;
  parallel::MeshGroups groups_;
  parallel::Background data_;
  parallel::PipelineShape shape_;
  parallel::PipelinePlan plan_;
  ParameterTable table_;
  TrainingState state_;
  std::unique_ptr<Model> model_;
  parallel::PipelineRunner runner_;
  std::vector<Batch> batches_;  ///< one for each micro-batch of this data rank's step
  std::vector<MicroBatch> views_;
};

}  // namespace stoa::trainer

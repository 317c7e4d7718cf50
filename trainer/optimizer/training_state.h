#pragma once
/// What a rank of a mesh trains: parameters, gradients and moments, with everything between the passes of its share of
/// a model and the updated parameters. One step:
///
///   begin_step(); the passes of all micro-batches with sink() and gate(); finish_step(); gradient_norm();
///   update(...), or nothing where the step is skipped
///
/// A gradient is summed over micro-batches and data ranks, then, where it is partial, over tensor ranks; both parts of
/// a tied embedding's are added last (embedding + head). In deterministic mode (SumOrder::kTree) gradients, norms and
/// updates have the same bits on every layout of data ranks and stages whose ranks hold whole subtrees.
#include <cstdint>
#include <span>

#include "stoa/parallel/mesh_groups.h"
#include "stoa/trainer/optimizer/adamw_optimizer.h"
#include "stoa/trainer/optimizer/gradient_reduction.h"
#include "stoa/trainer/optimizer/model_norm.h"
#include "stoa/trainer/optimizer/parameter_gathering.h"
#include "stoa/trainer/optimizer/partial_gradients.h"

namespace stoa::trainer {

struct TrainingStateSettings {
  Zero zero = Zero::kNone;
  Precision precision = Precision::kFp32;
  GradientSettings gradients;
  OptimizerSettings optimizer;
  std::int64_t bucket_bytes = kBucketBytes;
};

/// What it borrows.
struct TrainingStateParts {
  cpu::Queue& queue;
  const ParameterTable& table;   ///< of this rank's share
  parallel::MeshGroups& groups;  ///< uses tensor, model and ends
  parallel::Background& data;    ///< of the data group
};

class TrainingState {
 public:
  /// Collective over the job. Allocates everything; masters and moments are zero.
  TrainingState(const TrainingStateParts& parts, const TrainingStateSettings& settings);

  GradientSink& sink() { return *gradients_; }
  ParameterGate& gate() { return gathering_; }
  ModelParameters& parameters() { return parameters_; }

  void begin_step() { gradients_->begin_step(); }
  /// Collective. Afterwards the owned gradients are those of the global batch.
  void finish_step();
  /// Collective: the same value on all ranks. After finish_step; NaN where any rank has a NaN.
  double gradient_norm();
  /// Collective. Updates what this rank owns and starts bringing the new values to the other data ranks (gate). `step`
  /// counts updates from 1; `norm` is gradient_norm().
  void update(std::int64_t step, double learning_rate, double norm);
  /// Of the whole model's masters, as the last update() or gather_all() left them; the same value on all ranks.
  double parameter_norm() const { return parameter_norm_; }

  /// Collective, after owned masters were drawn or loaded: makes their copies and brings both to all data ranks.
  void gather_all();
  /// Returns when the passes' parameters are all here: before evaluation, and before they are read otherwise.
  void await_parameters() { gathering_.await_all(); }

  /// What this data rank draws, updates, loads and saves, and the only places where masters (beside what the passes
  /// read), moments and gradients may be touched. All are flat buffers at the table's offsets.
  const FlatRanges& owned() const { return owned_; }
  std::span<float> masters() { return parameters_.masters(); }
  std::span<float> first_moments() { return optimizer_.first_moments(); }
  std::span<float> second_moments() { return optimizer_.second_moments(); }
  std::span<const float> gradients() { return gradients_->gradients(); }
  const BucketPlan& plan() const { return plan_; }
  GradientReduction& reduction() { return *gradients_; }

 private:
  void add_tied_parts();
  void start_gathering();

  TrainingStateParts parts_;
  BucketPlan plan_;
  FlatRanges owned_;
  ModelParameters parameters_;
  AdamWOptimizer optimizer_;
  ModelNorm norm_;
  std::unique_ptr<GradientReduction> gradients_;
  PartialGradients partial_;
  ParameterGathering gathering_;
  double parameter_norm_ = 0;
};

/// Adds to `memory` what a TrainingState of that table allocates on a data rank: parameters, gradients, moments and
/// buffers of communication.
void plan_training_state(const ParameterTable& table, const TrainingStateSettings& settings,
                         const parallel::MeshSize& size, int data_rank, MemoryTable& memory);

}  // namespace stoa::trainer

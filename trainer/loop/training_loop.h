#pragma once
/// The training loop of one rank of a mesh: resume, step, judge, evaluate, save, stop in order.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "stoa/base/clock.h"
#include "stoa/base/log.h"
#include "stoa/checkpoint/background_save.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/parallel/communicator.h"
#include "stoa/trainer/data/sample_stream.h"
#include "stoa/trainer/loop/loop_progress.h"
#include "stoa/trainer/loop/metrics.h"
#include "stoa/trainer/loop/spike_detector.h"
#include "stoa/trainer/loop/training_step.h"
#include "stoa/trainer/power_meter.h"
#include "stoa/trainer/settings.h"

namespace stoa::trainer {

struct LoopSettings {
  ModelSettings model;  ///< resolved
  TrainingSettings training;
  ParallelSettings parallel;
  OptimizerSettings optimizer;
  CheckpointSettings checkpoint;
  EvaluationSettings evaluation;
};

/// What the composition root lends.
struct LoopParts {
  cpu::Queue& queue;
  parallel::Communicator& ranks;  ///< of the job: the whole mesh
  checkpoint::CheckpointStore& store;
  const SampleStream& train;
  const SampleStream* held_out = nullptr;     ///< null: no evaluation
  std::span<const std::int32_t> token_bytes;  ///< per id; for bits per byte
  Json data_identity;                         ///< what a resumed run must find unchanged
  PowerMeter& power;
  Metrics& metrics;
  const Clock& clock;
  Log& log;
  std::function<bool()> stop_requested;  ///< asked once a step, on every rank
  LoopProgress& progress;
};

struct LoopOutcome {
  bool finished = false;  ///< false: saved and stopped early
  std::int64_t step = 0;
  double energy_j = 0;  ///< of all ranks in this attempt
};

class TrainingLoop {
 public:
  /// Collective. Allocates everything; nothing of size is allocated in a step after the first.
  TrainingLoop(const LoopSettings& settings, LoopParts parts);

  /// Collective: resumes from the newest whole checkpoint, or begins with the weights of training.start_from or with
  /// new ones, and trains to the last step or to a request to stop.
  LoopOutcome run();

 private:
  struct StepResult {
    double loss = 0;
    double gradient_norm = 0;
    StepVerdict verdict = StepVerdict::kApply;
  };

  void start();
  void resume(const checkpoint::CheckpointState& saved);
  void begin();
  Json identity() const;
  StepResult step();
  void report(const StepResult& result, double step_s);
  /// After the first step of a resumed run: against what an attempt before made of it.
  void compare_with_recorded(double loss);
  void evaluate_held_out();
  std::vector<checkpoint::PieceToSave> pieces_of_state();
  enum class SaveWay { kBeside, kAtOnce };  ///< while the training goes on, or because it ends
  void save(SaveWay way);
  void end_save();
  /// What the ranks have told each other at the end of a step.
  struct Told {
    double energy_j = 0;
    bool stop = false;        ///< one was asked to, at least
    bool save_ended = false;  ///< on all of them
  };
  Told all_told();
  std::int64_t tokens_per_step() const { return settings_.training.global_batch * settings_.model.context_length; }

  LoopSettings settings_;
  LoopParts parts_;
  TrainingStep passes_;
  checkpoint::BackgroundSave saving_;
  SpikeDetector spikes_;
  double peak_gflops_ = 0;  ///< of all ranks together, measured
  double energy_j_ = 0;
  std::int64_t step_ = 0;
  std::int64_t updates_ = 0;
  std::int64_t saved_step_ = -1;
  std::int64_t resumed_step_ = -1;
  std::int64_t evaluated_step_ = -1;
  std::optional<double> evaluation_loss_;  ///< at evaluated_step_
  std::string start_digest_;               ///< of the checkpoint that the first weights came from; empty: none
};

}  // namespace stoa::trainer

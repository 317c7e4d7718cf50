#pragma once
/// What `stoa eval` and `stoa sample` work with: an experiment, its tokenizer and the weights of one of its
/// checkpoints, in one process on this machine.
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "stoa/base/log.h"
#include "stoa/launcher/checkpoint_choice.h"
#include "stoa/launcher/experiment.h"
#include "stoa/trainer/data/tokenizer.h"
#include "stoa/trainer/model/model.h"

namespace stoa::launcher {

class TrainedModel {
 public:
  /// CheckpointError where the run has no whole checkpoint, or one of another model; DataError where the tokenizer is
  /// not there or not the one that the checkpoint was trained with. Logs which checkpoint it is, and damaged ones it
  /// passes over.
  TrainedModel(const ModelChoice& choice, Log& log);

  const Experiment& experiment() const { return experiment_; }
  const trainer::Tokenizer& tokenizer() const { return tokenizer_; }
  trainer::cpu::Queue& queue() { return queue_; }
  const trainer::ParameterTable& table() const { return table_; }
  const trainer::ModelParameters& parameters() const { return parameters_; }
  std::int64_t step() const { return step_; }
  const std::filesystem::path& checkpoint() const { return checkpoint_; }

 private:
  void load(const std::filesystem::path& folder, Log& log);

  Experiment experiment_;
  trainer::Tokenizer tokenizer_;
  trainer::cpu::Queue queue_;
  trainer::ParameterTable table_;
  trainer::ModelParameters parameters_;
  std::filesystem::path checkpoint_;
  std::int64_t step_ = 0;
};

}  // namespace stoa::launcher

#pragma once
/// Decides whether a step's update is to be applied: NaN and infinity never, a loss or gradient norm far above the
/// recent ones not where the policy says so. A pure function of the steps so far, so that all ranks decide alike; the
/// window is saved in checkpoints, so that a resumed run decides as the uninterrupted one.
#include <cstdint>
#include <deque>

#include "stoa/base/json.h"
#include "stoa/trainer/settings.h"

namespace stoa::trainer {

enum class StepVerdict { kApply, kNotFinite, kLossSpike, kNormSpike };

/// "", "nan", "loss spike", "norm spike": as in metrics.
const char* verdict_name(StepVerdict verdict);

class SpikeDetector {
 public:
  explicit SpikeDetector(const SpikeSettings& settings) : settings_(settings) {}

  /// Judges a step and remembers it where it is to be applied. NumericError where more than most_skips in a row were
  /// not.
  StepVerdict judge(std::int64_t step, double loss, double gradient_norm);

  Json state() const;
  void restore(const Json& state, std::string_view place);

 private:
  bool is_spike(const std::deque<double>& window, double value, double deviations) const;

  SpikeSettings settings_;
  std::deque<double> losses_, norms_;
  std::int64_t skipped_in_a_row_ = 0;
};

}  // namespace stoa::trainer

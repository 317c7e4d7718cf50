#include "stoa/trainer/loop/spike_detector.h"

#include <cmath>
#include <vector>

#include "stoa/base/error.h"

namespace stoa::trainer {

const char* verdict_name(StepVerdict verdict) {
  switch (verdict) {
    case StepVerdict::kApply:
      return "";
    case StepVerdict::kNotFinite:
      return "nan";
    case StepVerdict::kLossSpike:
      return "loss spike";
    case StepVerdict::kNormSpike:
      return "norm spike";
  }
  return "";
}

/// Only a full window is compared with: the steep fall of the first steps is no reference.
bool SpikeDetector::is_spike(const std::deque<double>& window, double value, double deviations) const {
  if (deviations <= 0 || std::ssize(window) < settings_.window) return false;
  double sum = 0, squares = 0;
  for (const double known : window) sum += known;
  const double mean = sum / double(window.size());
  for (const double known : window) squares += (known - mean) * (known - mean);
  return value > mean + deviations * std::sqrt(squares / double(window.size()));
}

StepVerdict SpikeDetector::judge(std::int64_t step, double loss, double gradient_norm) {
  StepVerdict verdict = StepVerdict::kApply;
  if (!std::isfinite(loss) || !std::isfinite(gradient_norm))
    verdict = StepVerdict::kNotFinite;
  else if (is_spike(losses_, loss, settings_.loss_deviations))
    verdict = StepVerdict::kLossSpike;
  else if (is_spike(norms_, gradient_norm, settings_.norm_deviations))
    verdict = StepVerdict::kNormSpike;
  if (verdict == StepVerdict::kApply) {
    skipped_in_a_row_ = 0;
    losses_.push_back(loss);
    norms_.push_back(gradient_norm);
    // A resumed run may have been given a smaller window than the one that was saved.
    while (std::ssize(losses_) > settings_.window) losses_.pop_front();
    while (std::ssize(norms_) > settings_.window) norms_.pop_front();
  } else if (++skipped_in_a_row_ > settings_.most_skips) {
    throw NumericError(
        "step {}: {} (loss {}, gradient norm {}); {} steps in a row were not applied and training.spike.most_skips is "
        "{}. "
        "Lower optimizer.learning_rate, lengthen warmup_steps or look at the data of these steps",
        step, verdict_name(verdict), loss, gradient_norm, skipped_in_a_row_, settings_.most_skips);
  }
  return verdict;
}

Json SpikeDetector::state() const {
  return {{"losses", losses_}, {"norms", norms_}, {"skipped_in_a_row", skipped_in_a_row_}};
}

void SpikeDetector::restore(const Json& state, std::string_view place) {
  const auto losses = json_field<std::vector<double>>(state, "losses", place);
  const auto norms = json_field<std::vector<double>>(state, "norms", place);
  losses_.assign(losses.begin(), losses.end());
  norms_.assign(norms.begin(), norms.end());
  skipped_in_a_row_ = json_field<std::int64_t>(state, "skipped_in_a_row", place);
}

}  // namespace stoa::trainer

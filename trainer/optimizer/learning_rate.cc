#include "stoa/trainer/optimizer/learning_rate.h"

#include <cmath>
#include <numbers>

namespace stoa::trainer {
namespace {

/// From `from` at `begin` to `to` at `end`.
double line(double from, double to, double begin, double end, double at) {
  return end > begin ? from + (to - from) * (at - begin) / (end - begin) : to;
}

}  // namespace

double learning_rate(const OptimizerSettings& settings, std::int64_t steps, std::int64_t step) {
  const double peak = settings.learning_rate;
  const double floor = settings.final_fraction * peak;
  const auto warmup = double(settings.warmup_steps), last = double(steps), now = double(step);
  if (step <= settings.warmup_steps) return peak * now / warmup;
  switch (settings.schedule) {
    case ScheduleKind::kConstant:
      return peak;
    case ScheduleKind::kCosine:
      return floor + (peak - floor) / 2 * (1 + std::cos(std::numbers::pi * line(0, 1, warmup, last, now)));
    case ScheduleKind::kLinear:
      return line(peak, floor, warmup, last, now);
    case ScheduleKind::kWarmupStableDecay: {
      const double begin = last - settings.decay_fraction * last;
      return now <= begin ? peak : line(peak, floor, begin, last, now);
    }
  }
  return peak;
}

}  // namespace stoa::trainer

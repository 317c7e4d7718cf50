#pragma once
/// The learning rate of each optimizer step.
#include <cstdint>

#include "stoa/trainer/settings.h"

namespace stoa::trainer {

/// Rate of step 1..steps. With peak p, floor f = final_fraction * p, warmup W, steps S:
///   step <= W               p * step / W
///   cosine                  f + (p - f)/2 * (1 + cos(pi * (step - W) / (S - W)))
///   linear                  p + (f - p) * (step - W) / (S - W)
///   warmup-stable-decay     p until S - decay_fraction * S, then linear to f at S
///   constant                p
double learning_rate(const OptimizerSettings& settings, std::int64_t steps, std::int64_t step);

}  // namespace stoa::trainer

#include "stoa/trainer/optimizer/adamw_optimizer.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace stoa::trainer {
namespace {

using parallel::Slice;

/// Each parameter reaches to the next one: the padding between has zero gradients and stays zero.
FlatRanges parameters_of_decay(const ParameterTable& table, bool decayed) {
  std::vector<Slice> runs;
  for (std::size_t i = 0; i < table.parameters.size(); ++i) {
    const bool last = i + 1 == table.parameters.size();
    if (table.parameters[i].decayed() == decayed)
      runs.push_back({table.parameters[i].offset, last ? table.elements : table.parameters[i + 1].offset});
  }
  return united(std::move(runs));
}

/// What `ranges` has and `others` has not.
FlatRanges without(const FlatRanges& ranges, const FlatRanges& others, std::int64_t elements) {
  FlatRanges gaps;
  std::int64_t begin = 0;
  for (const Slice& other : others) {
    if (begin < other.begin) gaps.push_back({begin, other.begin});
    begin = other.end;
  }
  if (begin < elements) gaps.push_back({begin, elements});
  return intersection(ranges, gaps);
}

}  // namespace

AdamWOptimizer::AdamWOptimizer(cpu::Queue& queue, const ParameterTable& table, const OptimizerSettings& settings,
                               const FlatRanges& owned)
    : queue_(queue),
      settings_(settings),
      elements_(std::size_t(table.elements)),
      decayed_(intersection(owned, parameters_of_decay(table, true))),
      not_decayed_(intersection(owned, parameters_of_decay(table, false))),
      first_moments_(elements_ * sizeof(float), in_bytes(owned, sizeof(float))),
      second_moments_(elements_ * sizeof(float), in_bytes(owned, sizeof(float))) {}

std::size_t AdamWOptimizer::moments_bytes(const FlatRanges& owned) {
  return 2 * committed_bytes(in_bytes(owned, sizeof(float)));
}

void AdamWOptimizer::update(std::int64_t step, double learning_rate, double gradient_norm,
                            std::span<const float> gradients, ModelParameters& parameters) {
  const double clip = settings_.gradient_clip;
  AdamWStep update{.learning_rate = float(learning_rate),
                   .beta1 = float(settings_.beta1),
                   .beta2 = float(settings_.beta2),
                   .epsilon = float(settings_.epsilon),
                   .step = step,
                   .gradient_scale = clip > 0 ? float(std::min(1.0, clip / (gradient_norm + 1e-6))) : 1.0F};
  const FlatRanges& copied = parameters.ranges().copies;
  for (const FlatRanges* ranges : {&not_decayed_, &decayed_}) {
    update.weight_decay = ranges == &decayed_ ? float(settings_.weight_decay) : 0.0F;
    for (const Slice& run : intersection(*ranges, copied))
      update_run(update, run, gradients, parameters,
                 parameters.copies().subspan(std::size_t(run.begin), std::size_t(run.size())));
    for (const Slice& run : without(*ranges, copied, std::int64_t(elements_)))
      update_run(update, run, gradients, parameters, {});
  }
}

void AdamWOptimizer::update_run(const AdamWStep& step, const Slice& run, std::span<const float> gradients,
                                ModelParameters& parameters, std::span<bf16> copies) {
  const auto begin = std::size_t(run.begin), size = std::size_t(run.size());
  adamw_update(queue_, step, gradients.subspan(begin, size), parameters.masters().subspan(begin, size),
               first_moments().subspan(begin, size), second_moments().subspan(begin, size), copies);
}

}  // namespace stoa::trainer

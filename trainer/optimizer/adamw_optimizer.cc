#include "stoa/trainer/optimizer/adamw_optimizer.h"

#include <algorithm>
#include <cmath>

#include "stoa/parallel/tree_order.h"

namespace stoa::trainer {

AdamWOptimizer::AdamWOptimizer(cpu::Queue& queue, const ParameterTable& table, const OptimizerSettings& settings)
    : queue_(queue),
      settings_(settings),
      elements_(std::size_t(table.elements)),
      first_moments_(elements_ * sizeof(float)),
      second_moments_(elements_ * sizeof(float)),
      chunk_sums_((elements_ + kNormChunk - 1) / kNormChunk) {
  // Each run reaches to the next one: the padding between parameters has zero gradients and stays zero.
  for (std::size_t i = 0; i < table.parameters.size(); ++i) {
    const Parameter& parameter = table.parameters[i];
    const std::int64_t end = i + 1 < table.parameters.size() ? table.parameters[i + 1].offset : table.elements;
    if (!runs_.empty() && runs_.back().decayed == parameter.decayed())
      runs_.back().elements = std::size_t(end) - runs_.back().begin;
    else
      runs_.push_back({std::size_t(parameter.offset), std::size_t(end - parameter.offset), parameter.decayed()});
  }
}

double AdamWOptimizer::norm(std::span<const float> values) {
  sum_of_squares(queue_, values.first(elements_), chunk_sums_);
  parallel::for_each_tree_sum(0, chunk_sums_.size(),
                              [&](std::size_t left, std::size_t right) { chunk_sums_[left] += chunk_sums_[right]; });
  return std::sqrt(chunk_sums_[0]);
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
  const auto masters = parameters.masters();
  const auto copies = parameters.copies();
  for (const Run& run : runs_) {
    update.weight_decay = run.decayed ? float(settings_.weight_decay) : 0.0F;
    adamw_update(queue_, update, gradients.subspan(run.begin, run.elements), masters.subspan(run.begin, run.elements),
                 first_moments().subspan(run.begin, run.elements), second_moments().subspan(run.begin, run.elements),
                 copies.empty() ? copies : copies.subspan(run.begin, run.elements));
  }
}

}  // namespace stoa::trainer

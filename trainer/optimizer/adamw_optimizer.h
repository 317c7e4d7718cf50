#pragma once
/// AdamW over the flat buffers: moments, clipping by the global norm, decay on matrices only.
#include <cstdint>
#include <span>
#include <vector>

#include "stoa/trainer/kernels/adamw.h"
#include "stoa/trainer/model/model.h"

namespace stoa::trainer {

class AdamWOptimizer {
 public:
  /// Borrows the queue.
  AdamWOptimizer(cpu::Queue& queue, const ParameterTable& table, const OptimizerSettings& settings);

  /// L2 norm of the first table.elements values: chunks of kNormChunk squared and summed in double along the tree of
  /// parallel/tree_order.h, so the same on every rank and layout.
  double norm(std::span<const float> values);

  /// One update of masters and copies. `gradient_norm` is norm(gradients); the gradients are scaled by
  /// min(1, clip / (norm + 1e-6)). step counts the updates made, from 1, for the bias corrections.
  void update(std::int64_t step, double learning_rate, double gradient_norm, std::span<const float> gradients,
              ModelParameters& parameters);

  std::span<float> first_moments() { return first_moments_.as<float>().first(elements_); }
  std::span<float> second_moments() { return second_moments_.as<float>().first(elements_); }

 private:
  /// A run of neighbouring parameters of equal decay.
  struct Run {
    std::size_t begin = 0;
    std::size_t elements = 0;
    bool decayed = false;
  };

  cpu::Queue& queue_;
  OptimizerSettings settings_;
  std::size_t elements_;
  std::vector<Run> runs_;
  PageBuffer first_moments_, second_moments_;
  std::vector<double> chunk_sums_;
};

}  // namespace stoa::trainer

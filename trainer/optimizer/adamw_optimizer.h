#pragma once
/// AdamW over what this rank owns of the flat buffers: moments, clipping by the global norm, decay on matrices only.
#include <cstdint>
#include <span>
#include <vector>

#include "stoa/trainer/kernels/adamw.h"
#include "stoa/trainer/model/model_parameters.h"

namespace stoa::trainer {

class AdamWOptimizer {
 public:
  /// Borrows the queue. Moments exist in `owned` (BucketPlan) alone.
  AdamWOptimizer(cpu::Queue& queue, const ParameterTable& table, const OptimizerSettings& settings,
                 const FlatRanges& owned);

  /// Bytes that both moments take once they are in use.
  static std::size_t moments_bytes(const FlatRanges& owned);

  /// One update of the owned masters, and of their copies where `parameters` has some. `gradient_norm` is that of the
  /// whole model's gradients, which are scaled by min(1, clip / (norm + 1e-6)). step counts the updates made, from 1,
  /// for the bias corrections.
  void update(std::int64_t step, double learning_rate, double gradient_norm, std::span<const float> gradients,
              ModelParameters& parameters);

  /// At the table's flat offsets; only owned ranges may be touched.
  std::span<float> first_moments() { return first_moments_.as<float>().first(elements_); }
  std::span<float> second_moments() { return second_moments_.as<float>().first(elements_); }

 private:
  void update_run(const AdamWStep& step, const parallel::Slice& run, std::span<const float> gradients,
                  ModelParameters& parameters, std::span<bf16> copies);

  cpu::Queue& queue_;
  OptimizerSettings settings_;
  std::size_t elements_;
  FlatRanges decayed_, not_decayed_;  ///< owned
  PageBuffer first_moments_, second_moments_;
};

}  // namespace stoa::trainer

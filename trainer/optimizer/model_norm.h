#pragma once
/// The L2 norm of a whole model's gradients or masters.
#include <span>
#include <vector>

#include "stoa/parallel/background.h"
#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/optimizer/bucket_plan.h"

namespace stoa::trainer {

/// Squares of kNormChunk elements of a parameter are summed in double, then the chunks of each parameter, then each
/// parameter's tensor slices, then the parameters by their number in the whole model; each sum along the tree of
/// parallel/tree_order.h. What several ranks hold counts once. So the bits are the same on every layout of the data and
/// pipeline axes, stage of ZeRO and number of threads.
class ModelNorm {
 public:
  /// Borrows queue and table.
  ModelNorm(cpu::Queue& queue, const ParameterTable& table, const BucketPlan& plan, int data_rank);
  static std::size_t memory_bytes(const ParameterTable& table);

  /// Of `values` at the table's flat offsets, of which only owned ones (BucketPlan) are read. Collective over the data
  /// and the model group: the same value on all ranks.
  double of(std::span<const float> values, parallel::Background& data, parallel::Communicator& model);

 private:
  void sum_chunks(std::span<const float> values);
  void sum_parameters();
  double norm();

  cpu::Queue& queue_;
  const ParameterTable& table_;
  FlatRanges owned_;
  bool cut_;  ///< over data ranks: the same on all of them, even where one happens to own everything
  std::vector<std::size_t> first_chunk_;  ///< of each parameter, and one behind the last
  std::vector<double> chunk_sums_;
  std::vector<double> parameter_sums_;  ///< [number][tensor rank]
};

}  // namespace stoa::trainer

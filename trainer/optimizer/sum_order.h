#pragma once
/// In which order the gradients of a step's micro-batches are summed.
#include <cstdint>

#include "stoa/trainer/settings.h"

namespace stoa::trainer {

enum class SumOrder {
  kFast,  ///< one after the other into one buffer
  /// Along the binary tree over the number of the micro-batch in the global batch (parallel/tree_order.h), so that the
  /// bits do not depend on the number of data ranks. A buffer for each open partial sum.
  kTree,
};

/// The number in the global batch of the j-th of `micro_batches` micro-batches of a data rank. Stage 2 sums ranks
/// first, so it deals them out in turn: a power of two of ranks is then a whole subtree. The others sum each rank's
/// own first, which are therefore neighbours.
constexpr std::int64_t micro_batch_number(Zero zero, int data_ranks, int data_rank, std::int64_t micro_batches,
                                          std::int64_t j) {
  return zero == Zero::kGradients ? j * data_ranks + data_rank : data_rank * micro_batches + j;
}

}  // namespace stoa::trainer

#pragma once
/// Gradients of one optimizer step on one rank: micro-batches summed, ranks summed, tied parts added.
///
/// kFast adds every micro-batch into one buffer. kTree keeps one buffer per open partial sum and adds along the binary
/// tree over the global micro-batch index (parallel/tree_order.h), so that the bits do not depend on the number of data
/// ranks.
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "stoa/parallel/communicator.h"
#include "stoa/parallel/tree_order.h"
#include "stoa/trainer/model/model.h"
#include "stoa/trainer/optimizer/sum_order.h"

namespace stoa::trainer {

class GradientAccumulation {
 public:
  /// Collective: the first buffer is memory of the communicator. Borrows all.
  GradientAccumulation(cpu::Queue& queue, const ParameterTable& table, parallel::Communicator& ranks, SumOrder order,
                       std::int64_t micro_batches);

  static std::int64_t buffers(SumOrder order, std::int64_t micro_batches);

  void begin_step();
  /// Calls train(gradients) for the rank's next micro-batch and files what it gave.
  void add(const std::function<LossSums(std::span<float>)>& train);
  /// After micro_batches adds: collective sum over ranks; the loss sums are those of the global batch.
  LossSums finish_step();

  /// The step's gradients, valid until begin_step. The first table.elements are final.
  std::span<const float> gradients() const { return slots_[0]; }

 private:
  cpu::Queue& queue_;
  const ParameterTable& table_;
  parallel::Communicator& ranks_;
  SumOrder order_;
  std::size_t micro_batches_;
  std::unique_ptr<parallel::CommunicatorMemory> shared_;
  std::vector<PageBuffer> own_;
  std::vector<std::span<float>> slots_;
  parallel::TreeAccumulator tree_;
  std::vector<LossSums> losses_;
};

}  // namespace stoa::trainer

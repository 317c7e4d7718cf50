#include "stoa/trainer/optimizer/gradient_accumulation.h"

#include <array>

#include "stoa/trainer/kernels/elementwise.h"

namespace stoa::trainer {

std::int64_t GradientAccumulation::buffers(SumOrder order, std::int64_t micro_batches) {
  return order == SumOrder::kFast ? 1 : std::int64_t(parallel::TreeAccumulator::slots(std::size_t(micro_batches)));
}

GradientAccumulation::GradientAccumulation(cpu::Queue& queue, const ParameterTable& table,
                                           parallel::Communicator& ranks, SumOrder order, std::int64_t micro_batches)
    : queue_(queue), table_(table), ranks_(ranks), order_(order), micro_batches_(std::size_t(micro_batches)), tree_(0) {
  const auto elements = std::size_t(table.gradient_elements);
  shared_ = ranks.allocate(elements * sizeof(float), "gradient memory");
  const std::span<std::byte> bytes = shared_->bytes();
  slots_.push_back({reinterpret_cast<float*>(bytes.data()), elements});
  while (std::ssize(slots_) < buffers(order, micro_batches)) {
    own_.emplace_back(elements * sizeof(float));
    slots_.push_back(own_.back().as<float>().first(elements));
  }
  losses_.reserve(micro_batches_);
}

void GradientAccumulation::begin_step() {
  losses_.clear();
  tree_ = parallel::TreeAccumulator(micro_batches_);
  if (order_ == SumOrder::kFast) fill(queue_, 0, slots_[0]);
}

void GradientAccumulation::add(const std::function<LossSums(std::span<float>)>& train) {
  if (order_ == SumOrder::kFast) {
    losses_.push_back(train(slots_[0]));
    return;
  }
  const auto leaf = slots_[tree_.next_slot()];
  fill(queue_, 0, leaf);
  losses_.push_back(train(leaf));
  tree_.leaf_done(
      [&](std::size_t left, std::size_t right) { stoa::trainer::add(queue_, slots_[right], slots_[left]); });
}

LossSums GradientAccumulation::finish_step() {
  parallel::for_each_tree_sum(0, losses_.size(), [&](std::size_t left, std::size_t right) {
    losses_[left].loss += losses_[right].loss;
    losses_[left].z += losses_[right].z;
  });
  std::array sums = {losses_[0].loss, losses_[0].z};
  ranks_.all_reduce(std::span<double>(sums), parallel::ReduceOp::kSum, "losses");
  ranks_.all_reduce(slots_[0], parallel::ReduceOp::kSum, "gradients");
  if (table_.tied()) {
    const auto size = std::size_t(table_.gradient_elements - table_.head_gradient);
    stoa::trainer::add(queue_, slots_[0].subspan(std::size_t(table_.head_gradient), size),
                       slots_[0].subspan(std::size_t(table_.embedding), size));
  }
  return {sums[0], sums[1]};
}

}  // namespace stoa::trainer

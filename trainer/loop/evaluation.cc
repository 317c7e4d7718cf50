#include "stoa/trainer/loop/evaluation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "stoa/parallel/tree_order.h"

namespace stoa::trainer {

double EvaluationResult::perplexity() const { return std::exp(loss); }

double EvaluationResult::bits_per_byte() const {
  return bytes > 0 ? loss * double(tokens) / (std::numbers::ln2 * double(bytes)) : 0;
}

EvaluationResult evaluate(TrainingStep& step, const SampleStream& held_out, std::int64_t most_samples,
                          std::span<const std::int32_t> token_bytes) {
  const TrainingSettings& training = step.settings().training;
  const std::int64_t samples = std::min(most_samples, held_out.samples());
  const std::int64_t units = (samples + training.micro_batch - 1) / training.micro_batch;
  std::vector<double> sums(std::size_t(units), 0.0);
  std::array<std::int64_t, 1> bytes = {0};
  step.evaluate(held_out, samples, [&](std::int64_t number, const MicroBatch& batch, const LossSums& loss) {
    sums[std::size_t(number)] = loss.loss;
    for (const std::int32_t target : batch.targets_bt) bytes[0] += token_bytes[std::size_t(target)];
  });
  parallel::Communicator& job = step.groups().job;
  job.all_reduce(std::span<double>(sums), parallel::ReduceOp::kSum, "evaluation losses");
  job.all_reduce(std::span<std::int64_t>(bytes), parallel::ReduceOp::kSum, "evaluation bytes");
  parallel::for_each_tree_sum(0, sums.size(), [&](std::size_t left, std::size_t right) { sums[left] += sums[right]; });
  EvaluationResult result;
  result.tokens = samples * step.settings().model.context_length;
  result.loss = sums[0] / double(result.tokens);
  result.bytes = bytes[0];
  return result;
}

}  // namespace stoa::trainer

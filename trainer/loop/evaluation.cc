#include "stoa/trainer/loop/evaluation.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <vector>

#include "stoa/parallel/shard.h"
#include "stoa/parallel/tree_order.h"
#include "stoa/trainer/loop/batch.h"

namespace stoa::trainer {

double EvaluationResult::perplexity() const { return std::exp(loss); }

double EvaluationResult::bits_per_byte() const {
  return bytes > 0 ? loss * double(tokens) / (std::numbers::ln2 * double(bytes)) : 0;
}

EvaluationResult evaluate(Model& model, const SampleStream& held_out, const EvaluationPlan& plan,
                          std::span<const std::int32_t> token_bytes, parallel::Communicator& ranks) {
  const std::int64_t samples = std::min(plan.samples, held_out.samples());
  const std::int64_t units = (samples + plan.micro_batch - 1) / plan.micro_batch;
  const parallel::Slice mine = parallel::balanced_slice(units, ranks.size(), ranks.rank());
  std::vector<double> sums(std::size_t(units), 0.0);
  std::array<std::int64_t, 1> bytes = {0};
  Batch batch(plan.micro_batch, plan.context_length);
  for (std::int64_t unit = mine.begin; unit < mine.end; ++unit) {
    const std::int64_t first = unit * plan.micro_batch;
    const MicroBatch view = batch.read(held_out, first, std::min(plan.micro_batch, samples - first));
    sums[std::size_t(unit)] = model.evaluate(view).loss;
    for (const std::int32_t target : view.targets_bt) bytes[0] += token_bytes[std::size_t(target)];
  }
  ranks.all_reduce(std::span<double>(sums), parallel::ReduceOp::kSum, "evaluation losses");
  ranks.all_reduce(std::span<std::int64_t>(bytes), parallel::ReduceOp::kSum, "evaluation bytes");
  parallel::for_each_tree_sum(0, sums.size(), [&](std::size_t left, std::size_t right) { sums[left] += sums[right]; });
  EvaluationResult result;
  result.tokens = samples * plan.context_length;
  result.loss = sums[0] / double(result.tokens);
  result.bytes = bytes[0];
  return result;
}

}  // namespace stoa::trainer

#include "stoa/trainer/loop/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "stoa/parallel/one_rank.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/trainer/loop_cases.h"

namespace stoa::trainer {
namespace {

/// Token t stands for t % 5 bytes.
std::vector<std::int32_t> token_bytes() {
  std::vector<std::int32_t> bytes(kLoopVocabulary);
  for (std::size_t id = 0; id < bytes.size(); ++id) bytes[id] = std::int32_t(id % 5);
  return bytes;
}

EvaluationResult evaluate_on(int ranks, const LoopData& data, const EvaluationPlan& plan) {
  const ParameterTable table = make_parameter_table(loop_model());
  const TokenSamples held_out = data.samples(DataSplit::kHeldOut);
  std::vector<EvaluationResult> results(std::size_t(ranks), EvaluationResult{});
  parallel::run_thread_ranks(ranks, kLoopDeadline_s, [&](parallel::Communicator& group) {
    cpu::Queue queue(loop_queue());
    ModelParameters parameters(table, Precision::kFp32);
    initialize_parameters(queue, table, 3, parameters.masters());
    const auto model = make_model(queue, table, parameters, Precision::kFp32,
                                  {.samples = plan.micro_batch, .use = ModelUse::kEvaluation, .seed = 0});
    results[std::size_t(group.rank())] = evaluate(*model, held_out, plan, token_bytes(), group);
  });
  for (const EvaluationResult& result : results) EXPECT_EQ(result.loss, results[0].loss);
  return results[0];
}

TEST(LoopThreadRanksEvaluation, HasTheSameBitsOnAnyNumberOfRanks) {
  const LoopData data;
  const EvaluationPlan plan{.samples = 9, .micro_batch = 2, .context_length = 9};
  const EvaluationResult one = evaluate_on(1, data, plan);
  EXPECT_EQ(one.tokens, 81);
  EXPECT_GT(one.loss, 1);
  for (const int ranks : {2, 3, 7}) {
    const EvaluationResult many = evaluate_on(ranks, data, plan);
    EXPECT_EQ(many.loss, one.loss) << ranks;
    EXPECT_EQ(many.tokens, one.tokens) << ranks;
    EXPECT_EQ(many.bytes, one.bytes) << ranks;
  }
}

TEST(LoopThreadRanksEvaluation, TakesWhatTheSplitHasWhereMoreIsAskedFor) {
  const LoopData data;
  const TokenSamples held_out = data.samples(DataSplit::kHeldOut);
  const EvaluationResult result = evaluate_on(2, data, {.samples = 100000, .micro_batch = 3, .context_length = 9});
  EXPECT_EQ(result.tokens, held_out.samples_per_epoch() * 9);
}

TEST(LoopEvaluation, CountsTheBytesOfThePredictedTokens) {
  const LoopData data;
  const TokenSamples held_out = data.samples(DataSplit::kHeldOut);
  std::int64_t bytes = 0;
  std::vector<std::int32_t> inputs(9), targets(9);
  for (std::int64_t sample = 0; sample < 5; ++sample) {
    held_out.read(sample, inputs, targets);
    for (const std::int32_t target : targets) bytes += target % 5;
  }
  const EvaluationResult result = evaluate_on(1, data, {.samples = 5, .micro_batch = 2, .context_length = 9});
  EXPECT_EQ(result.bytes, bytes);
  EXPECT_DOUBLE_EQ(result.bits_per_byte(), result.loss * 45 / (std::numbers::ln2 * double(bytes)));
  EXPECT_DOUBLE_EQ(result.perplexity(), std::exp(result.loss));
}

}  // namespace
}  // namespace stoa::trainer

#include "stoa/trainer/loop/evaluation.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>
#include <vector>

#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/trainer/loop_cases.h"
#include "stoa/trainer/model/initial_weights.h"

namespace stoa::trainer {
namespace {

/// Token t stands for t % 5 bytes.
std::vector<std::int32_t> token_bytes() {
  std::vector<std::int32_t> bytes(kLoopVocabulary);
  for (std::size_t id = 0; id < bytes.size(); ++id) bytes[id] = std::int32_t(id % 5);
  return bytes;
}

EvaluationResult evaluate_on(const parallel::MeshSize& mesh, const LoopData& data, std::int64_t most_samples,
                             std::int64_t micro_batch) {
  const TokenSamples held_out = data.samples(DataSplit::kHeldOut);
  StepSettings settings;
  settings.model = loop_model();
  settings.model.layers = 2;
  settings.training.micro_batch = micro_batch;
  settings.training.global_batch = micro_batch * mesh.data;
  settings.parallel.mesh = mesh;
  std::vector<EvaluationResult> results(std::size_t(mesh.ranks()), EvaluationResult{});
  parallel::run_thread_ranks(mesh.ranks(), kLoopDeadline_s, [&](parallel::Communicator& job) {
    cpu::Queue queue(loop_queue());
    TrainingStep step(queue, settings, parallel::make_mesh_groups(job, mesh));
    initialize_parameters(queue, step.table(), 3, step.state().masters(), step.state().owned());
    step.state().gather_all();
    results[std::size_t(job.rank())] = evaluate(step, held_out, most_samples, token_bytes());
  });
  for (const EvaluationResult& result : results) EXPECT_EQ(result.loss, results[0].loss);
  return results[0];
}

TEST(LoopThreadRanksEvaluation, HasTheSameBitsOnAnyNumberOfDataRanksAndStages) {
  const LoopData data;
  const EvaluationResult one = evaluate_on({}, data, 9, 2);
  EXPECT_EQ(one.tokens, 81);
  EXPECT_GT(one.loss, 1);
  for (const parallel::MeshSize& mesh :
       {parallel::MeshSize{.data = 2}, parallel::MeshSize{.data = 3}, parallel::MeshSize{.data = 7},
        parallel::MeshSize{.pipeline = 2}, parallel::MeshSize{.data = 3, .pipeline = 2}}) {
    const EvaluationResult many = evaluate_on(mesh, data, 9, 2);
    EXPECT_EQ(many.loss, one.loss) << mesh.data << " x " << mesh.pipeline;
    EXPECT_EQ(many.tokens, one.tokens) << mesh.data << " x " << mesh.pipeline;
    EXPECT_EQ(many.bytes, one.bytes) << mesh.data << " x " << mesh.pipeline;
  }
}

TEST(LoopThreadRanksEvaluation, TakesWhatTheSplitHasWhereMoreIsAskedFor) {
  const LoopData data;
  const TokenSamples held_out = data.samples(DataSplit::kHeldOut);
  const EvaluationResult result = evaluate_on({.data = 2}, data, 100000, 3);
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
  const EvaluationResult result = evaluate_on({}, data, 5, 2);
  EXPECT_EQ(result.bytes, bytes);
  EXPECT_DOUBLE_EQ(result.bits_per_byte(), result.loss * 45 / (std::numbers::ln2 * double(bytes)));
  EXPECT_DOUBLE_EQ(result.perplexity(), std::exp(result.loss));
}

}  // namespace
}  // namespace stoa::trainer

#include "stoa/trainer/optimizer/model_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "stoa/parallel/one_rank.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/trainer/loop_cases.h"
#include "stoa/tests/unit/trainer/model_cases.h"
#include "stoa/trainer/kernels/adamw.h"

namespace stoa::trainer {
namespace {

/// Large enough that its norm is summed over three chunks.
ModelSettings model_of_three_chunks() {
  ModelSettings model = small_gpt2();
  model.vocabulary_size = 641;
  return model;
}

const ParameterTable& table() {
  static const ParameterTable made = make_parameter_table(model_of_three_chunks());
  return made;
}

/// Of odd sizes, on every element but the padding.
std::vector<float> values() {
  std::vector<float> flat(std::size_t(table().gradient_elements));
  for (const Parameter& parameter : table().parameters)
    for (std::int64_t i = 0; i < parameter.elements; ++i)
      flat[std::size_t(parameter.offset + i)] = float((i * 37 % 101) - 50) / 64.0F;
  return flat;
}

double norm_on_one_rank(int threads) {
  cpu::Queue queue({.threads = threads, .pinned = {}, .isa = cpu::Isa::kPlain});
  parallel::Background data(std::make_unique<parallel::OneRank>());
  parallel::OneRank model;
  return ModelNorm(queue, table(), make_bucket_plan(table(), {}), 0).of(values(), data, model);
}

TEST(OptimizerModelNorm, IsThatOfASumInDoubleAndTheSameOnAnyThreads) {
  ASSERT_GT(table().elements, 2 * kNormChunk) << "one chunk would test no order";
  double squares = 0;
  for (const float value : values()) squares += double(value) * value;
  const double norm = norm_on_one_rank(1);
  EXPECT_NEAR(norm, std::sqrt(squares), 1e-12 * norm);
  for (const int threads : {2, 3}) EXPECT_EQ(norm_on_one_rank(threads), norm) << threads;
}

// Whether the data ranks' sums meet must not depend on what one of them owns.
TEST(OptimizerThreadRanksModelNorm, IsThatOfOneRankWhereOneDataRankOwnsEverything) {
  BucketPlan plan = make_bucket_plan(table(), {.zero = Zero::kOptimizer, .data_ranks = 2});
  for (Bucket& bucket : plan.buckets) bucket.cuts = {bucket.begin, bucket.end, bucket.end};
  const double expected = norm_on_one_rank(1);
  parallel::run_thread_ranks(2, kLoopDeadline_s, [&](parallel::Communicator& job) {
    cpu::Queue queue(loop_queue());
    parallel::OneRank model;
    const int rank = job.rank();
    parallel::Background data(job.split(0, "data group"));
    EXPECT_EQ(ModelNorm(queue, table(), plan, rank).of(values(), data, model), expected) << rank;
  });
}

}  // namespace
}  // namespace stoa::trainer

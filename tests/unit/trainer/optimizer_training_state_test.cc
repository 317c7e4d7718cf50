/// What happens in one rank's step: sums against a reference written by hand, overlap, failures and memory.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <mutex>

#include "stoa/base/error.h"
#include "stoa/parallel/tree_order.h"
#include "stoa/tests/unit/trainer/loop_cases.h"
#include "stoa/tests/unit/trainer/model_cases.h"
#include "stoa/tests/unit/trainer/optimizer_cases.h"

namespace stoa::trainer {
namespace {

constexpr Zero kStages[] = {Zero::kNone, Zero::kOptimizer, Zero::kGradients};

OptimizerCase case_of(const parallel::MeshSize& mesh, Zero zero, SumOrder order = SumOrder::kFast) {
  OptimizerCase test{.model = small_gpt2(), .mesh = mesh};
  test.state.zero = zero;
  test.state.gradients.order = order;
  test.state.bucket_bytes = 257;
  return test;
}

/// The micro-batches' values of one element, summed in the order asked for.
float summed(const OptimizerCase& test, const Parameter& parameter, std::int64_t element, int use) {
  std::vector<float> leaves;
  for (std::int64_t g = 0; g < test.global_micro_batches; ++g)
    leaves.push_back(gradient_value(parameter.name, element, g, 1, use));
  if (test.state.gradients.order == SumOrder::kTree) {
    parallel::for_each_tree_sum(0, leaves.size(),
                                [&](std::size_t left, std::size_t right) { leaves[left] += leaves[right]; });
    return leaves[0];
  }
  float sum = 0;
  for (const float leaf : leaves) sum += leaf;
  return sum;
}

TEST(OptimizerTrainingState, OneRankSumsMicroBatchesInOrderThenAddsTheHeadsPartToTheEmbeddings) {
  for (const SumOrder order : {SumOrder::kFast, SumOrder::kTree}) {
    OptimizerCase test = case_of({}, Zero::kNone, order);
    test.global_micro_batches = 7;
    run_case(test, [&](OptimizerRank& rank) {
      for (const int step : {2, 1}) {  // whatever an earlier step left behind must be gone
        rank.state.begin_step();
        give_step(rank, step);
        rank.state.finish_step();
      }
      double squares = 0;
      for (const Parameter& parameter : rank.table.parameters)
        for (std::int64_t i = 0; i < parameter.elements; ++i) {
          float expected = summed(test, parameter, i, 0);
          if (parameter.offset == rank.table.embedding) expected += summed(test, parameter, i, 1);
          ASSERT_EQ(rank.state.gradients()[std::size_t(parameter.offset + i)], expected) << parameter.name;
          squares += double(expected) * double(expected);
        }
      const double norm = rank.state.gradient_norm();
      EXPECT_NEAR(norm, std::sqrt(squares), 1e-12 * norm) << "a few thousand additions in double";
    });
  }
}

TEST(OptimizerTrainingState, FourDataRanksSumTheirBatchesAlongTheTreeInEveryStage) {
  for (const Zero zero : kStages) {
    const OptimizerCase test = case_of({.data = 4}, zero, SumOrder::kTree);
    run_case(test, [&](OptimizerRank& rank) {
      rank.state.begin_step();
      give_step(rank, 1);
      rank.state.finish_step();
      std::int64_t seen = 0;
      for (const Parameter& parameter : rank.table.parameters)
        for (const parallel::Slice& run :
             within(rank.state.owned(), {parameter.offset, parameter.offset + parameter.elements}))
          for (std::int64_t at = run.begin; at < run.end; ++at, ++seen) {
            float expected = summed(test, parameter, at - parameter.offset, 0);
            if (parameter.offset == rank.table.embedding) expected += summed(test, parameter, at - parameter.offset, 1);
            ASSERT_EQ(rank.state.gradients()[std::size_t(at)], expected) << parameter.name;
          }
      EXPECT_GT(seen, 0);
    });
  }
}

TEST(OptimizerThreadRanksState, ANotANumberOfOneRankReachesTheNormOnAll) {
  for (const Zero zero : kStages)
    for (const int poisoned : {0, 3, 7}) {
      const OptimizerCase test = case_of({.data = 2, .pipeline = 2, .tensor = 2}, zero);
      run_case(test, [&](OptimizerRank& rank) {
        rank.state.begin_step();
        if (rank.groups.job.rank() == poisoned) {
          const Parameter& last = rank.table.parameters.back();
          rank.state.sink().part(last.block, last.offset + last.elements - 1, 1)[0] = std::nanf("");
        }
        give_step(rank, 1);
        rank.state.finish_step();
        EXPECT_TRUE(std::isnan(rank.state.gradient_norm())) << "rank " << rank.groups.job.rank();
      });
    }
}

// Each rank waits for the first bucket's sum before it gives anything more: were it started later, nobody would come.
TEST(OptimizerThreadRanksState, ABucketIsSummedWhileOthersAreStillToCome) {
  for (const Zero zero : kStages)
    for (const SumOrder order : {SumOrder::kFast, SumOrder::kTree}) {
      const OptimizerCase test = case_of({.data = 2}, zero, order);
      run_case(test, [&](OptimizerRank& rank) {
        rank.state.begin_step();
        for (std::int64_t j = 0; j < rank.micro_batches(); ++j) {
          give_block(rank, rank.table.head_block, j, 1);
          EXPECT_EQ(rank.state.reduction().started(0), j + 1 == rank.micro_batches());
        }
        rank.state.reduction().await(0);
        EXPECT_FALSE(rank.state.reduction().started(1));
        const Parameter& embedding = rank.table.parameters[0];
        const std::int64_t to_head = rank.table.head_gradient - rank.table.embedding;
        for (const parallel::Slice& run : within(rank.state.owned(), {0, embedding.elements}))
          for (std::int64_t at = run.begin; at < run.end; ++at)
            ASSERT_NEAR(rank.state.gradients()[std::size_t(at + to_head)], summed(test, embedding, at, 1), 1e-4)
                << "eight values up to 32 in fp32, in any order";
      });
    }
}

TEST(OptimizerThreadRanksState, WhereOneRankThrowsInTheMiddleOfAStepTheOthersGetACommError) {
  for (const Zero zero : kStages) {
    const OptimizerCase test = case_of({.data = 3}, zero);
    std::mutex mutex;
    int comm_errors = 0;
    const auto body = [&](OptimizerRank& rank) {
      rank.state.begin_step();
      if (rank.groups.job.rank() == 1) {
        for (std::int64_t j = 0; j < rank.micro_batches(); ++j) give_block(rank, rank.table.head_block, j, 1);
        throw DataError("token 257 is outside the vocabulary");
      }
      try {
        give_step(rank, 1);
        rank.state.finish_step();
        ADD_FAILURE() << "rank " << rank.groups.job.rank() << " got sums without rank 1";
      } catch (const CommError& error) {
        EXPECT_THAT(error.what(), testing::HasSubstr("gradients"));
        const std::lock_guard lock(mutex);
        ++comm_errors;
      }
    };
    OptimizerCase six = test;
    six.global_micro_batches = 6;
    EXPECT_THROW(run_case(six, body), DataError);
    EXPECT_EQ(comm_errors, 2);
  }
}

TEST(OptimizerTrainingState, AStepThatMissesAMicroBatchOrHasOneTooManyIsRefused) {
  for (const Zero zero : kStages)
    for (const SumOrder order : {SumOrder::kFast, SumOrder::kTree})
      run_case(case_of({.data = 2}, zero, order), [&](OptimizerRank& rank) {
        rank.state.begin_step();
        for (std::size_t block = rank.table.blocks.size(); block-- > 1;)
          for (std::int64_t j = 0; j < rank.micro_batches(); ++j) give_block(rank, block, j, 1);
        EXPECT_THROW(rank.state.finish_step(), InternalError);
        EXPECT_THROW(give_block(rank, rank.table.head_block, 0, 1), InternalError);
      });
}

TEST(OptimizerThreadRanksState, ASkippedStepLeavesTheNextOneAsItWouldBe) {
  for (const Zero zero : kStages) {
    const OptimizerCase test = case_of({.data = 2}, zero);
    std::mutex mutex;
    std::vector<WholeTensors> runs;
    for (const bool skips : {false, true}) {
      WholeTensors masters;
      run_case(test, [&](OptimizerRank& rank) {
        draw_parameters(rank);
        for (const int step : {1, 2, 3}) {
          if (step == 2 && !skips) continue;
          rank.state.begin_step();
          give_step(rank, step);
          rank.state.finish_step();
          const double norm = rank.state.gradient_norm();
          if (step != 2) rank.state.update(step, 0.125, norm);
        }
        const std::lock_guard lock(mutex);
        gather_owned(masters, rank, rank.state.masters());
      });
      runs.push_back(std::move(masters));
    }
    EXPECT_EQ(runs[0], runs[1]);
  }
}

std::size_t resident_bytes(std::span<const std::byte> memory) {
  const auto page = std::size_t(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> pages((memory.size() + page - 1) / page);
  if (pages.empty()) return 0;
  auto* const address = const_cast<std::byte*>(memory.data());
  EXPECT_EQ(mincore(address, memory.size(), pages.data()), 0);
  std::size_t resident = 0;
  for (const unsigned char state : pages) resident += state & 1U;
  return resident * page;
}

std::size_t planned_bytes(const OptimizerRank& rank, std::string_view name) {
  MemoryTable memory;
  TrainingStateSettings settings = rank.test.state;
  settings.gradients.micro_batches = rank.micro_batches();
  plan_training_state(rank.table, settings, rank.groups.size, rank.groups.at.data, memory);
  for (const MemoryPart& part : memory.parts)
    if (part.name.starts_with(name)) return part.size_bytes;
  return 0;
}

// Wide enough that parts are many pages and some are huge ones.
TEST(OptimizerTrainingState, MemoryIsTakenWhereItIsPlannedAndNowhereElse) {
  for (const Zero zero : kStages)
    for (const Precision precision : {Precision::kFp32, Precision::kBf16})
      for (const parallel::MeshSize& mesh : {parallel::MeshSize{.data = 3}, {.data = 2, .pipeline = 2}}) {
        OptimizerCase test = case_of(mesh, zero);
        test.model.width = 257;
        test.model.vocabulary_size = 7001;
        test.global_micro_batches = mesh.data;
        test.state.precision = precision;
        SCOPED_TRACE(test.describe());
        run_case(test, [&](OptimizerRank& rank) {
          draw_parameters(rank);
          rank.state.begin_step();
          give_step(rank, 1);
          rank.state.finish_step();
          rank.state.update(1, 0.125, rank.state.gradient_norm());
          rank.state.await_parameters();
          EXPECT_EQ(resident_bytes(std::as_bytes(rank.state.masters())), planned_bytes(rank, "masters"));
          EXPECT_EQ(resident_bytes(std::as_bytes(rank.state.parameters().copies())), planned_bytes(rank, "copies"));
          EXPECT_EQ(resident_bytes(std::as_bytes(rank.state.first_moments())) +
                        resident_bytes(std::as_bytes(rank.state.second_moments())),
                    planned_bytes(rank, "first and second moments"));
          EXPECT_EQ(resident_bytes(std::as_bytes(rank.state.gradients())), planned_bytes(rank, "gradients, fp32"));
        });
      }
}

}  // namespace
}  // namespace stoa::trainer

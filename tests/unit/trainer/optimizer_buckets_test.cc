#include <gtest/gtest.h>
#include <unistd.h>

#include <numeric>

#include "stoa/tests/unit/trainer/model_cases.h"
#include "stoa/trainer/kernels/adamw.h"
#include "stoa/trainer/optimizer/bucket_plan.h"

namespace stoa::trainer {
namespace {

using parallel::Slice;

ModelSettings gpt2_of(std::int64_t layers, std::int64_t width, std::int64_t vocabulary) {
  ModelSettings model = small_gpt2();
  model.layers = layers;
  model.width = width;
  model.vocabulary_size = vocabulary;
  return model;
}

ModelShare share_of(const ModelSettings& model, const parallel::MeshSize& mesh, const parallel::MeshCoordinate& at,
                    int chunks = 1) {
  return model_share(model, {.mesh = mesh, .chunks_per_stage = chunks}, at);
}

TEST(OptimizerRanges, UniteWhatTouchesAndLeaveOutWhatIsEmpty) {
  EXPECT_EQ(united({{65, 257}, {3, 3}, {0, 33}, {33, 64}, {100, 300}}), (FlatRanges{{0, 64}, {65, 300}}));
  EXPECT_EQ(united({}), FlatRanges());
}

TEST(OptimizerRanges, ShareWhatBothHave) {
  const FlatRanges a = {{0, 33}, {65, 257}}, b = {{1, 2}, {32, 66}, {256, 258}};
  EXPECT_EQ(intersection(a, b), (FlatRanges{{1, 2}, {32, 33}, {65, 66}, {256, 257}}));
  EXPECT_EQ(intersection(b, a), intersection(a, b));
  EXPECT_EQ(within(a, {32, 66}), (FlatRanges{{32, 33}, {65, 66}}));
  EXPECT_EQ(within(a, {33, 65}), FlatRanges());
  EXPECT_EQ(elements_of(a), 33 + 192);
}

TEST(OptimizerRanges, CostThePagesThatTheyTouchOnce) {
  const std::int64_t page = sysconf(_SC_PAGESIZE);
  const auto pages = [&](const FlatRanges& ranges) { return std::int64_t(committed_bytes(ranges)) / page; };
  EXPECT_EQ(pages({}), 0);
  EXPECT_EQ(pages({{page - 1, page + 1}}), 2);
  EXPECT_EQ(pages({{1, 2}, {33, 65}, {page - 1, page}}), 1);
  EXPECT_EQ(pages({{0, page}, {2 * page, 5 * page + 1}, {5 * page + 2, 6 * page}}), 5);
  EXPECT_EQ(pages(in_bytes({{page / 4, page / 2}}, 4)), 1);
}

TEST(OptimizerBuckets, HoldLayersOfOneChunkOrOneOtherBlockInReverse) {
  const ModelSettings model = gpt2_of(7, 33, 131);
  const ParameterTable table = make_parameter_table(model, share_of(model, {.pipeline = 1}, {}, 1));
  const std::int64_t layer = table.blocks[table.layers[0].block].end - table.blocks[table.layers[0].block].begin;
  const BucketPlan plan = make_bucket_plan(table, {.bucket_bytes = layer * std::int64_t(sizeof(float)) + 1});
  // Head, final norm, layers 6 5 | 4 3 | 2 1 | 0, positions, embedding.
  std::vector<std::size_t> blocks;
  for (const Bucket& bucket : plan.buckets) blocks.push_back(bucket.blocks());
  EXPECT_EQ(blocks, (std::vector<std::size_t>{1, 1, 2, 2, 2, 1, 1, 1}));
  EXPECT_EQ(plan.buckets[0].first_block, table.head_block);
  EXPECT_EQ(plan.buckets[2].last_block, table.layers[6].block);
  EXPECT_EQ(plan.buckets[7].first_block, table.embedding_block);
  for (std::size_t bucket = 1; bucket < plan.buckets.size(); ++bucket)
    EXPECT_LE(plan.buckets[bucket].end, plan.buckets[bucket - 1].begin) << bucket;
}

TEST(OptimizerBuckets, DoNotReachFromChunkToChunk) {
  const ModelSettings model = gpt2_of(8, 33, 131);
  const ParameterTable table = make_parameter_table(model, share_of(model, {.pipeline = 2}, {.pipeline = 1}, 2));
  ASSERT_EQ(table.chunks.size(), 2U);
  const BucketPlan plan = make_bucket_plan(table, {});
  for (std::size_t chunk = 0; chunk < 2; ++chunk)
    for (std::int64_t layer = table.chunks[chunk].begin; layer < table.chunks[chunk].end; ++layer)
      EXPECT_EQ(plan.bucket_of_block[table.layers[std::size_t(layer)].block], 3 - chunk);
}

/// Every element belongs to one data rank, and every cut stands before a chunk of the norm.
void expect_cut(const ParameterTable& table, const BucketPlan& plan) {
  std::vector<Slice> parts;
  for (int rank = 0; rank < plan.data_ranks; ++rank)
    for (const Slice& range : plan.owned_gradients(rank)) parts.push_back(range);
  EXPECT_EQ(std::accumulate(parts.begin(), parts.end(), std::int64_t{0},
                            [](std::int64_t sum, const Slice& part) { return sum + part.size(); }),
            table.gradient_elements);
  EXPECT_EQ(united(parts), (FlatRanges{{0, table.gradient_elements}}));
  for (int rank = 0; rank < plan.data_ranks; ++rank)
    for (const Slice& range : plan.owned(rank))
      for (const Parameter& parameter : table.parameters)
        if (range.begin > parameter.offset && range.begin < parameter.offset + parameter.elements) {
          EXPECT_EQ((range.begin - parameter.offset) % kNormChunk, 0) << parameter.name;
        }
}

TEST(OptimizerBuckets, TheDataRanksPartsTileEverythingAtChunksOfTheNorm) {
  for (const ModelSettings& model : {gpt2_of(3, 257, 1031), small_llama()})
    for (const int data : {2, 3, 5, 8})
      for (const Zero zero : {Zero::kOptimizer, Zero::kGradients}) {
        const ParameterTable table = make_parameter_table(model);
        expect_cut(table, make_bucket_plan(table, {.zero = zero, .data_ranks = data, .bucket_bytes = 257}));
      }
}

TEST(OptimizerBuckets, PartsDifferByTwoChunksAtMostWhereParametersAreLarge) {
  const ParameterTable table = make_parameter_table(gpt2_of(3, 513, 1031));
  for (const int data : {2, 3, 7}) {
    const BucketPlan plan = make_bucket_plan(table, {.zero = Zero::kOptimizer, .data_ranks = data});
    for (const Bucket& bucket : plan.buckets) {
      if (bucket.elements() < 100 * std::int64_t{513}) continue;
      // The padding behind the vocabulary goes with its last chunk.
      const std::int64_t slack = 2 * kNormChunk + 128 * 513;
      for (int rank = 0; rank < data; ++rank)
        EXPECT_NEAR(double(bucket.part(rank).size()), double(bucket.elements()) / data, double(slack));
    }
  }
}

TEST(OptimizerBuckets, WithoutZeroEveryDataRankOwnsEverything) {
  const ParameterTable table = make_parameter_table(small_gpt2());
  const BucketPlan plan = make_bucket_plan(table, {.zero = Zero::kNone, .data_ranks = 3});
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_EQ(plan.owned(rank), (FlatRanges{{0, table.elements}}));
    EXPECT_EQ(plan.owned_gradients(rank), (FlatRanges{{0, table.gradient_elements}}));
  }
  EXPECT_EQ(make_bucket_plan(table, {.zero = Zero::kGradients, .data_ranks = 1}).zero, Zero::kNone);
}

/// Relative to a parameter's beginning.
FlatRanges owned_of(const Parameter& parameter, const BucketPlan& plan, int data_rank) {
  FlatRanges owned = within(plan.owned(data_rank), {parameter.offset, parameter.offset + parameter.elements});
  for (Slice& range : owned) range = {range.begin - parameter.offset, range.end - parameter.offset};
  return owned;
}

// So many layers and data ranks that cuts fall among the small parameters, at places that uneven slices move.
TEST(OptimizerBuckets, WhatTensorRanksShareHasOneOwnerAmongDataRanks) {
  ModelSettings model = gpt2_of(33, 33, 131);
  model.heads = 4;
  model.head_width = 9;
  for (const int data : {2, 3, 31, 32}) {
    const auto table_of = [&](int tensor) {
      return make_parameter_table(model, share_of(model, {.data = data, .tensor = 3}, {.tensor = tensor}));
    };
    const BucketSettings settings{.zero = Zero::kOptimizer, .data_ranks = data};
    const ParameterTable first = table_of(0), last = table_of(2);
    ASSERT_GT(first.elements, last.elements) << "slices of equal size would test nothing";
    const BucketPlan first_plan = make_bucket_plan(first, settings), last_plan = make_bucket_plan(last, settings);
    for (std::size_t i = 0; i < first.parameters.size(); ++i) {
      if (first.parameters[i].gradient.kind != parallel::PlacementKind::kPartial) continue;
      for (int rank = 0; rank < data; ++rank)
        ASSERT_EQ(owned_of(first.parameters[i], first_plan, rank), owned_of(last.parameters[i], last_plan, rank))
            << first.parameters[i].name << ", data " << data;
    }
  }
}

TEST(OptimizerBuckets, BothCopiesAndBothGradientsOfATiedEmbeddingAreCutAlike) {
  const ModelSettings model = gpt2_of(4, 33, 1031);
  const BucketSettings settings{.zero = Zero::kOptimizer, .data_ranks = 3};
  const ParameterTable one = make_parameter_table(model);
  const BucketPlan plan = make_bucket_plan(one, settings);
  const auto cuts = [](const BucketPlan& of, std::size_t block) {
    std::vector<std::int64_t> cut = of.buckets[of.bucket_of_block[block]].cuts;
    const std::int64_t begin = cut[0];
    for (std::int64_t& at : cut) at -= begin;
    return cut;
  };
  const auto expected = cuts(plan, one.embedding_block);
  EXPECT_GT(expected[1], 0);
  EXPECT_LT(expected[1], expected[2]) << "not cut at all would test nothing";
  EXPECT_EQ(cuts(plan, one.head_block), expected);
  const parallel::MeshSize mesh{.data = 3, .pipeline = 3};
  const ParameterTable first = make_parameter_table(model, share_of(model, mesh, {.pipeline = 0}));
  const ParameterTable last = make_parameter_table(model, share_of(model, mesh, {.pipeline = 2}));
  EXPECT_EQ(cuts(make_bucket_plan(first, settings), first.embedding_block), expected);
  EXPECT_EQ(cuts(make_bucket_plan(last, settings), last.head_block), expected);
}

}  // namespace
}  // namespace stoa::trainer

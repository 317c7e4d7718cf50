#include "stoa/trainer/optimizer/bucket_plan.h"

#include <algorithm>
#include <limits>

#include "stoa/trainer/kernels/adamw.h"

namespace stoa::trainer {
namespace {

using parallel::Slice;

constexpr int kNoChunk = -1;

/// Of layers; kNoChunk for embedding, positions, final norm and head.
std::vector<int> chunk_of_each_block(const ParameterTable& table) {
  std::vector<int> chunks(table.blocks.size(), kNoChunk);
  for (std::size_t chunk = 0; chunk < table.chunks.size(); ++chunk)
    for (std::int64_t layer = table.chunks[chunk].begin; layer < table.chunks[chunk].end; ++layer)
      chunks[table.layers[std::size_t(layer)].block] = int(chunk);
  return chunks;
}

std::vector<Bucket> group_blocks(const ParameterTable& table, std::int64_t bucket_bytes) {
  const std::vector<int> chunks = chunk_of_each_block(table);
  std::vector<Bucket> buckets;
  for (std::size_t block = table.blocks.size(); block-- > 0;) {
    const ParameterBlock& at = table.blocks[block];
    const bool joins = !buckets.empty() && chunks[block] != kNoChunk && chunks[block] == chunks[block + 1] &&
                       buckets.back().elements() * std::int64_t(sizeof(float)) < bucket_bytes;
    if (joins) {
      buckets.back().begin = at.begin;
      buckets.back().first_block = block;
    } else {
      buckets.push_back({.begin = at.begin, .end = at.end, .first_block = block, .last_block = block, .cuts = {}});
    }
  }
  return buckets;
}

/// Where a bucket may be cut: before a chunk of a parameter.
struct GridPoint {
  std::size_t parameter = 0;
  std::int64_t chunk = 0;
  std::int64_t offset = 0;
};

std::vector<GridPoint> grid_of(const ParameterTable& table, const Bucket& bucket) {
  std::vector<GridPoint> grid;
  for (std::size_t i = 0; i < table.parameters.size(); ++i) {
    const Parameter& parameter = table.parameters[i];
    if (parameter.block < bucket.first_block || parameter.block > bucket.last_block) continue;
    for (std::int64_t at = 0; at < parameter.elements; at += kNormChunk)
      grid.push_back({i, at / kNormChunk, parameter.offset + at});
  }
  return grid;
}

/// The places of all cuts but the first and the last: each the nearest to an equal share, none before the one before.
std::vector<GridPoint> choose_cuts(const ParameterTable& table, const Bucket& bucket, int parts) {
  const std::vector<GridPoint> grid = grid_of(table, bucket);
  const GridPoint end{std::numeric_limits<std::size_t>::max(), 0, bucket.end};
  std::vector<GridPoint> cuts;
  for (int part = 1; part < parts; ++part) {
    const std::int64_t wanted = bucket.begin + bucket.elements() * part / parts;
    const auto above =
        std::partition_point(grid.begin(), grid.end(), [&](const GridPoint& point) { return point.offset < wanted; });
    GridPoint nearest = above == grid.end() ? end : *above;
    if (above != grid.begin() && wanted - (above - 1)->offset < nearest.offset - wanted) nearest = *(above - 1);
    cuts.push_back(nearest);
  }
  return cuts;
}

/// A place of tensor rank 0's grid on this rank, which may hold less of each parameter.
std::int64_t offset_here(const ParameterTable& table, const Bucket& bucket, const GridPoint& point) {
  if (point.parameter >= table.parameters.size()) return bucket.end;
  const Parameter& parameter = table.parameters[point.parameter];
  const std::int64_t at = point.chunk * kNormChunk;
  if (at == 0 || at < parameter.elements) return parameter.offset + at;
  const std::size_t next = point.parameter + 1;
  const bool inside = next < table.parameters.size() && table.parameters[next].block <= bucket.last_block;
  return inside ? table.parameters[next].offset : bucket.end;
}

void cut_bucket(Bucket& bucket, const ParameterTable& table, const ParameterTable& first, const Bucket& first_bucket,
                int parts) {
  bucket.cuts = {bucket.begin};
  for (const GridPoint& point : choose_cuts(first, first_bucket, parts))
    bucket.cuts.push_back(offset_here(table, bucket, point));
  bucket.cuts.push_back(bucket.end);
}

ParameterTable table_of_first_tensor_rank(const ParameterTable& table) {
  ModelShare share = table.share;
  share.tensor_index = 0;
  return make_parameter_table(table.model, share);
}

}  // namespace

std::vector<std::size_t> Bucket::part_elements(const Slice& slice) const {
  std::vector<std::size_t> elements;
  for (std::size_t r = 0; r + 1 < cuts.size(); ++r)
    elements.push_back(
        std::size_t(std::max<std::int64_t>(0, std::min(cuts[r + 1], slice.end) - std::max(cuts[r], slice.begin))));
  return elements;
}

FlatRanges BucketPlan::owned_gradients(int data_rank) const {
  std::vector<Slice> parts;
  for (const Bucket& bucket : buckets)
    parts.push_back(zero == Zero::kNone ? Slice{bucket.begin, bucket.end} : bucket.part(data_rank));
  return united(std::move(parts));
}

FlatRanges BucketPlan::owned(int data_rank) const { return within(owned_gradients(data_rank), {0, elements}); }

BucketPlan make_bucket_plan(const ParameterTable& table, const BucketSettings& settings) {
  BucketPlan plan;
  plan.zero = settings.data_ranks > 1 ? settings.zero : Zero::kNone;
  plan.data_ranks = settings.data_ranks;
  plan.elements = table.elements;
  const ParameterTable first = table_of_first_tensor_rank(table);
  // Grouped by the first rank's sizes too, so that all tensor ranks have the same buckets.
  const std::vector<Bucket> first_buckets = group_blocks(first, settings.bucket_bytes);
  plan.bucket_of_block.resize(table.blocks.size());
  for (const Bucket& model : first_buckets) {
    Bucket bucket = model;
    bucket.begin = table.blocks[model.first_block].begin;
    bucket.end = table.blocks[model.last_block].end;
    for (std::size_t block = bucket.first_block; block <= bucket.last_block; ++block)
      plan.bucket_of_block[block] = plan.buckets.size();
    cut_bucket(bucket, table, first, model, settings.data_ranks);
    plan.buckets.push_back(std::move(bucket));
  }
  if (table.tied()) {
    Bucket& head = plan.buckets[plan.bucket_of_block[table.head_block]];
    head.cuts = plan.buckets[plan.bucket_of_block[table.embedding_block]].cuts;
    for (std::int64_t& cut : head.cuts) cut += table.head_gradient - table.embedding;
  }
  return plan;
}

}  // namespace stoa::trainer

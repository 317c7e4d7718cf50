#include "stoa/trainer/optimizer/rank_sums.h"

#include <algorithm>

namespace stoa::trainer {
namespace {

bool has_rows(const ParameterTable& table, const BucketPlan& plan) {
  return plan.data_ranks > 1 && table.share.holds_begin;
}

RowShape shape_of(const ParameterTable& table, const BucketPlan& plan) {
  return {.elements = plan.buckets[plan.bucket_of_block[table.embedding_block]].elements(), .width = table.model.width};
}

std::int64_t packed_elements(const RowShape& shape, const GradientSettings& settings) {
  const std::int64_t most = std::min(shape.elements / 2, kBucketBytes / std::int64_t(sizeof(float)));
  return std::min(most, std::min(shape.rows(), settings.tokens) * shape.width);
}

}  // namespace

RankSums::RankSums(const GradientParts& parts, const GradientSettings& settings) {
  if (!has_rows(parts.table, parts.plan)) return;
  embedding_bucket_ = parts.plan.bucket_of_block[parts.table.embedding_block];
  const RowShape shape = shape_of(parts.table, parts.plan);
  rows_.emplace(parts.data.group(), shape, packed_elements(shape, settings));
}

void RankSums::plan_memory(const ParameterTable& table, const BucketPlan& plan, const GradientSettings& settings,
                           MemoryTable& memory) {
  if (!has_rows(table, plan)) return;
  const RowShape shape = shape_of(table, plan);
  memory.parts.push_back({MemoryKind::kCommunication, "touched rows of the embedding's gradient",
                          RowSums::memory_bytes(shape, packed_elements(shape, settings), plan.data_ranks)});
}

std::int64_t RankSums::unread_elements(const ParameterTable& table, const BucketPlan& plan,
                                       const GradientSettings& settings) {
  if (!has_rows(table, plan)) return 0;
  const RowShape shape = shape_of(table, plan);
  return 2 * std::min(settings.tokens, shape.rows()) > shape.rows() ? 0 : shape.elements;
}

void RankSums::all_reduce(parallel::Communicator& data, std::size_t bucket, std::span<float> terms) {
  if (rows_ && bucket == embedding_bucket_) return rows_->all_reduce(data, terms);
  data.all_reduce(terms, parallel::ReduceOp::kSum, "gradients");
}

void RankSums::reduce_scatter(parallel::Communicator& data, std::size_t bucket, std::span<float> terms,
                              std::span<const std::size_t> parts, std::span<float> mine) {
  if (rows_ && bucket == embedding_bucket_) return rows_->reduce_scatter(data, terms, parts, mine);
  data.reduce_scatter(terms, parts, mine, "gradients");
}

}  // namespace stoa::trainer

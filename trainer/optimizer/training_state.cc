#include "stoa/trainer/optimizer/training_state.h"

#include "stoa/base/error.h"
#include "stoa/trainer/kernels/elementwise.h"

namespace stoa::trainer {
namespace {

using parallel::Slice;

Slice slice_of(const ParameterBlock& block) { return {block.begin, block.end}; }

BucketPlan plan_of(const ParameterTable& table, const TrainingStateSettings& settings, int data_ranks) {
  return make_bucket_plan(table,
                          {.zero = settings.zero, .data_ranks = data_ranks, .bucket_bytes = settings.bucket_bytes});
}

}  // namespace

TrainingState::TrainingState(const TrainingStateParts& parts, const TrainingStateSettings& settings)
    : parts_(parts),
      plan_(plan_of(parts.table, settings, parts.groups.size.data)),
      owned_(plan_.owned(parts.groups.at.data)),
      parameters_(parts.table, needed_parameters(parts.table, settings.precision, owned_)),
      optimizer_(parts.queue, parts.table, settings.optimizer, owned_),
      norm_(parts.queue, parts.table, plan_, parts.groups.at.data),
      gradients_(make_gradient_reduction({parts.queue, parts.table, plan_, parts.data}, settings.gradients)),
      partial_(parts.table, owned_, *parts.groups.tensor),
      gathering_(parts.table, plan_, parameters_, parts.data) {}

void TrainingState::finish_step() {
  gradients_->finish();
  partial_.sum(gradients_->gradients());
  add_tied_parts();
}

// Both parts are cut alike over the data ranks, wherever they are (BucketPlan).
void TrainingState::add_tied_parts() {
  const ParameterTable& table = parts_.table;
  const auto gradients = gradients_->gradients();
  if (table.tied()) {
    const std::int64_t to_head = table.head_gradient - table.embedding;
    for (const Slice& run : within(owned_, slice_of(table.blocks[table.embedding_block]))) {
      const auto begin = std::size_t(run.begin), size = std::size_t(run.size());
      add(parts_.queue, gradients.subspan(begin + std::size_t(to_head), size), gradients.subspan(begin, size));
    }
  }
  if (!table.tied_across_stages()) return;
  const std::size_t block = table.share.holds_begin ? table.embedding_block : table.head_block;
  for (const Slice& run : within(owned_, slice_of(table.blocks[block])))
    parts_.groups.ends->all_reduce(gradients.subspan(std::size_t(run.begin), std::size_t(run.size())),
                                   parallel::ReduceOp::kSum, "tied embedding");
}

double TrainingState::gradient_norm() { return norm_.of(gradients_->gradients(), parts_.data, *parts_.groups.model); }

void TrainingState::update(std::int64_t step, double learning_rate, double norm) {
  gathering_.await_all();
  optimizer_.update(step, learning_rate, norm, gradients_->gradients(), parameters_);
  start_gathering();
}

void TrainingState::gather_all() {
  parameters_.refresh_copies(parts_.queue, owned_);
  start_gathering();
  gathering_.await_all();
}

// The norm comes first: behind the gathering its sum over data ranks would have to wait for all of that.
void TrainingState::start_gathering() {
  parameter_norm_ = norm_.of(masters(), parts_.data, *parts_.groups.model);
  gathering_.start();
}

void plan_training_state(const ParameterTable& table, const TrainingStateSettings& settings,
                         const parallel::MeshSize& size, int data_rank, MemoryTable& memory) {
  const BucketPlan plan = plan_of(table, settings, size.data);
  const FlatRanges owned = plan.owned(data_rank);
  const ParameterRanges ranges = needed_parameters(table, settings.precision, owned);
  memory.parts.push_back({MemoryKind::kParameters, "masters, fp32", ModelParameters::masters_bytes(ranges)});
  if (!ranges.copies.empty())
    memory.parts.push_back(
        {MemoryKind::kParameters, "copies for products, bf16", ModelParameters::copies_bytes(ranges)});
  memory.parts.push_back(
      {MemoryKind::kOptimizer, "first and second moments, fp32", AdamWOptimizer::moments_bytes(owned)});
  memory.parts.push_back({MemoryKind::kOptimizer, "sums of the norms", ModelNorm::memory_bytes(table)});
  plan_gradient_reduction(table, plan, data_rank, settings.gradients, memory);
  if (const std::size_t bytes = PartialGradients::memory_bytes(table, owned); bytes > 0)
    memory.parts.push_back({MemoryKind::kCommunication, "gradients summed over the tensor axis", bytes});
}

}  // namespace stoa::trainer

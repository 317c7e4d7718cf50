#include "stoa/trainer/optimizer/whole_gradients.h"

#include <fmt/format.h>

#include "stoa/base/error.h"
#include "stoa/trainer/kernels/elementwise.h"

namespace stoa::trainer {
namespace {

FlatRanges all_of(const ParameterTable& table) { return united({{0, table.gradient_elements}}); }

}  // namespace

WholeGradients::WholeGradients(const GradientParts& parts, const GradientSettings& settings)
    : GradientReduction(parts.plan.buckets.size()),
      parts_(parts),
      settings_(settings),
      data_rank_(parts.data.group().rank()),
      data_ranks_(parts.data.group().size()),
      buckets_(parts.plan.buckets.size()),
      rank_sums_(parts, settings),
      pending_(parts.data) {
  const auto elements = std::size_t(parts.table.gradient_elements);
  shared_ = parts.data.group().allocate(elements * sizeof(float), "gradient memory");
  slots_.push_back({reinterpret_cast<float*>(shared_->bytes().data()), elements});
  while (std::ssize(slots_) < gradient_buffers(settings)) {
    own_.emplace_back(elements * sizeof(float), in_bytes(all_of(parts.table), sizeof(float)));
    slots_.push_back(own_.back().as<float>().first(elements));
  }
  begin_step();
}

void WholeGradients::plan_memory(const ParameterTable& table, const BucketPlan& plan, const GradientSettings& settings,
                                 MemoryTable& memory) {
  const std::size_t bytes = committed_bytes(in_bytes(all_of(table), sizeof(float)));
  memory.parts.push_back({MemoryKind::kGradients, "gradients, fp32", bytes});
  const std::int64_t more = gradient_buffers(settings) - 1;
  if (more > 0)
    memory.parts.push_back({MemoryKind::kGradients, fmt::format("open partial sums of micro-batches, {}", more),
                            std::size_t(more) * bytes});
  RankSums::plan_memory(table, plan, settings, memory);
}

void WholeGradients::begin_step() {
  blocks_.assign(parts_.table.blocks.size(), {parallel::TreeAccumulator(std::size_t(settings_.micro_batches))});
  for (std::size_t bucket = 0; bucket < buckets_.size(); ++bucket)
    buckets_[bucket] = {.waits_for = parts_.plan.buckets[bucket].blocks()};
}

std::span<float> WholeGradients::block_of(std::size_t slot, std::size_t block) const {
  const ParameterBlock& at = parts_.table.blocks[block];
  return slots_[slot].subspan(std::size_t(at.begin), std::size_t(at.end - at.begin));
}

/// Returns the slot to which the block's micro-batch is added.
std::size_t WholeGradients::open(std::size_t block) {
  BlockSums& sums = blocks_[block];
  const std::size_t slot = settings_.order == SumOrder::kTree ? sums.tree.next_slot() : 0;
  if (sums.open) return slot;
  if (sums.done == settings_.micro_batches)
    throw InternalError("block {} gets a gradient behind the last of {} micro-batches", block, sums.done);
  if (settings_.order == SumOrder::kTree || sums.done == 0) fill(parts_.queue, 0, block_of(slot, block));
  sums.open = true;
  return slot;
}

std::span<float> WholeGradients::part(std::size_t block, std::int64_t offset, std::int64_t elements) {
  return slots_[open(block)].subspan(std::size_t(offset), std::size_t(elements));
}

void WholeGradients::complete(std::size_t block) {
  open(block);
  BlockSums& sums = blocks_[block];
  if (settings_.order == SumOrder::kTree)
    sums.tree.leaf_done(
        [&](std::size_t left, std::size_t right) { add(parts_.queue, block_of(right, block), block_of(left, block)); });
  sums.open = false;
  if (++sums.done < settings_.micro_batches) return;
  const std::size_t bucket = parts_.plan.bucket_of_block[block];
  if (--buckets_[bucket].waits_for == 0) start(bucket);
}

void WholeGradients::start(std::size_t number) {
  BucketState& state = buckets_[number];
  state.started = true;
  if (data_ranks_ == 1) return;
  const Bucket& bucket = parts_.plan.buckets[number];
  const auto terms = slots_[0].subspan(std::size_t(bucket.begin), std::size_t(bucket.elements()));
  if (parts_.plan.zero == Zero::kNone) {
    state.ticket = pending_.start(
        [this, number, terms](parallel::Communicator& data) { rank_sums_.all_reduce(data, number, terms); });
    return;
  }
  const parallel::Slice part = bucket.part(data_rank_);
  const auto mine = slots_[0].subspan(std::size_t(part.begin), std::size_t(part.size()));
  state.ticket = pending_.start(
      [this, number, terms, mine, sizes = bucket.part_elements({bucket.begin, bucket.end})](
          parallel::Communicator& data) { rank_sums_.reduce_scatter(data, number, terms, sizes, mine); });
}

}  // namespace stoa::trainer

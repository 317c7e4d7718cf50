#include "stoa/trainer/optimizer/cut_gradients.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "stoa/base/error.h"
#include "stoa/parallel/tree_reduce.h"
#include "stoa/trainer/kernels/elementwise.h"

namespace stoa::trainer {
namespace {

/// Buckets of layers follow each other: one is filled while two are reduced.
constexpr std::size_t kLayerTransients = 3;
/// Embedding and head come once a micro-batch each and are large: they share one.
constexpr std::size_t kLargeTransients = 1;

struct TransientSizes {
  std::int64_t layers = 0, large = 0;  ///< elements of one
  std::int64_t elements() const {
    return std::int64_t(kLayerTransients) * layers + std::int64_t(kLargeTransients) * large;
  }
};

TransientSizes transient_sizes(const ParameterTable& table, const BucketPlan& plan) {
  TransientSizes sizes;
  for (const LayerOffsets& layer : table.layers)
    sizes.layers = std::max(sizes.layers, plan.buckets[plan.bucket_of_block[layer.block]].elements());
  for (const Bucket& bucket : plan.buckets)
    if (bucket.elements() > sizes.layers) sizes.large = std::max(sizes.large, bucket.elements());
  return sizes;
}

}  // namespace

CutGradients::CutGradients(const GradientParts& parts, const GradientSettings& settings)
    : GradientReduction(parts.plan.buckets.size()),
      parts_(parts),
      settings_(settings),
      data_rank_(parts.data.group().rank()),
      rank_sums_(parts, settings),
      pending_(parts.data) {
  const TransientSizes sizes = transient_sizes(parts.table, parts.plan);
  shared_ = parts.data.group().allocate(std::size_t(sizes.elements()) * sizeof(float), "gradient buckets");
  auto* at = reinterpret_cast<float*>(shared_->bytes().data());
  const auto take = [&](std::int64_t elements) {
    at += elements;
    return Transient{.memory = {at - elements, std::size_t(elements)}};
  };
  for (std::size_t i = 0; i < kLayerTransients; ++i) rings_[0].transients.push_back(take(sizes.layers));
  for (std::size_t i = 0; i < kLargeTransients; ++i) rings_[1].transients.push_back(take(sizes.large));
  const auto elements = std::size_t(parts.table.gradient_elements);
  const FlatRanges owned = in_bytes(parts.plan.owned_gradients(data_rank_), sizeof(float));
  for (std::int64_t slot = 0; slot < gradient_buffers(settings); ++slot) {
    own_.emplace_back(elements * sizeof(float), owned);
    slots_.push_back(own_.back().as<float>().first(elements));
  }
  begin_step();
}

void CutGradients::plan_memory(const ParameterTable& table, const BucketPlan& plan, int data_rank,
                               const GradientSettings& settings, MemoryTable& memory) {
  const std::size_t bytes = committed_bytes(in_bytes(plan.owned_gradients(data_rank), sizeof(float)));
  memory.parts.push_back({MemoryKind::kGradients, "gradients, fp32, owned part", bytes});
  const std::int64_t more = gradient_buffers(settings) - 1;
  if (more > 0)
    memory.parts.push_back({MemoryKind::kGradients, fmt::format("open partial sums of micro-batches, {}", more),
                            std::size_t(more) * bytes});
  const std::int64_t transients = transient_sizes(table, plan).elements();
  memory.parts.push_back({MemoryKind::kCommunication, "gradient buckets on their way to their owners",
                          std::size_t(transients) * sizeof(float)});
  RankSums::plan_memory(table, plan, settings, memory);
}

void CutGradients::begin_step() {
  pending_.wait_for_all();
  buckets_.assign(parts_.plan.buckets.size(), {parallel::TreeAccumulator(std::size_t(settings_.micro_batches))});
  micro_batch_of_block_.assign(parts_.table.blocks.size(), 0);
  for (Ring& ring : rings_)
    for (Transient& transient : ring.transients) transient.filling = false;
}

/// Gives the block's bucket memory for the micro-batch that it is in.
CutGradients::BucketSums& CutGradients::open(std::size_t block) {
  const std::size_t number = parts_.plan.bucket_of_block[block];
  const Bucket& bucket = parts_.plan.buckets[number];
  BucketSums& sums = buckets_[number];
  if (micro_batch_of_block_[block] != sums.done || sums.done == settings_.micro_batches)
    throw InternalError("block {} gets a gradient of micro-batch {} of {}, its bucket is at {}", block,
                        micro_batch_of_block_[block], settings_.micro_batches, sums.done);
  if (sums.transient != nullptr) return sums;
  const auto size = std::size_t(bucket.elements());
  Ring& ring = rings_[size <= rings_[0].transients[0].memory.size() ? 0 : 1];
  Transient& transient = ring.transients[ring.next++ % ring.transients.size()];
  if (transient.filling)
    throw InternalError("gradient bucket {} finds all {} buffers still being filled", number, ring.transients.size());
  pending_.wait(transient.ticket);
  fill(parts_.queue, 0, transient.memory.first(size));
  transient.filling = true;
  sums.transient = &transient;
  sums.waits_for = bucket.blocks();
  return sums;
}

std::span<float> CutGradients::part(std::size_t block, std::int64_t offset, std::int64_t elements) {
  const std::int64_t begin = parts_.plan.buckets[parts_.plan.bucket_of_block[block]].begin;
  return open(block).transient->memory.subspan(std::size_t(offset - begin), std::size_t(elements));
}

void CutGradients::complete(std::size_t block) {
  BucketSums& sums = open(block);
  ++micro_batch_of_block_[block];
  if (--sums.waits_for == 0) reduce(parts_.plan.bucket_of_block[block]);
}

/// Where the sum over ranks goes (`mine` as it comes is the own part of the transient), and what is added then.
std::vector<CutGradients::Addition> CutGradients::file(BucketSums& sums, const parallel::Slice& part,
                                                       std::span<float>& mine) {
  const auto own = [&](std::size_t slot) { return slots_[slot].subspan(std::size_t(part.begin), mine.size()); };
  std::vector<Addition> additions;
  if (settings_.order == SumOrder::kTree) {
    mine = own(sums.tree.next_slot());
    sums.tree.leaf_done([&](std::size_t left, std::size_t right) {
      additions.push_back({own(left).data(), own(right).data()});
    });
  } else if (sums.done == 0) {
    mine = own(0);
  } else {
    additions.push_back({own(0).data(), mine.data()});
  }
  return additions;
}

void CutGradients::reduce(std::size_t number) {
  const Bucket& bucket = parts_.plan.buckets[number];
  BucketSums& sums = buckets_[number];
  const auto terms = sums.transient->memory.first(std::size_t(bucket.elements()));
  const parallel::Slice part = bucket.part(data_rank_);
  std::span<float> mine = terms.subspan(std::size_t(part.begin - bucket.begin), std::size_t(part.size()));
  std::vector<Addition> additions = file(sums, part, mine);
  sums.ticket =
      pending_.start([this, number, terms, mine, additions = std::move(additions),
                      sizes = bucket.part_elements({bucket.begin, bucket.end})](parallel::Communicator& data) {
        rank_sums_.reduce_scatter(data, number, terms, sizes, mine);
        for (const Addition& addition : additions) {
          const std::array<float*, 2> both = {addition.to, const_cast<float*>(addition.from)};
          parallel::tree_reduce<float>(both, mine.size(), parallel::ReduceOp::kSum, addition.to);
        }
      });
  sums.transient->ticket = sums.ticket;
  sums.transient->filling = false;
  sums.transient = nullptr;
  ++sums.done;
}

}  // namespace stoa::trainer

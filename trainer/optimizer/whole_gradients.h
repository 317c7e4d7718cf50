#pragma once
/// GradientReduction where each rank keeps the gradients of everything: Zero::kNone and kOptimizer.
#include <memory>
#include <vector>

#include "stoa/parallel/tree_order.h"
#include "stoa/trainer/optimizer/gradient_reduction.h"
#include "stoa/trainer/optimizer/pending_work.h"
#include "stoa/trainer/optimizer/rank_sums.h"

namespace stoa::trainer {

class WholeGradients final : public GradientReduction {
 public:
  WholeGradients(const GradientParts& parts, const GradientSettings& settings);
  static void plan_memory(const ParameterTable& table, const BucketPlan& plan, const GradientSettings& settings,
                          MemoryTable& memory);

  std::span<float> part(std::size_t block, std::int64_t offset, std::int64_t elements) override;
  void complete(std::size_t block) override;
  void begin_step() override;
  bool started(std::size_t bucket) const override { return buckets_[bucket].started; }
  void await(std::size_t bucket) override { pending_.wait(buckets_[bucket].ticket); }
  std::span<float> gradients() override { return slots_[0]; }

 private:
  struct BlockSums {
    parallel::TreeAccumulator tree;
    std::int64_t done = 0;  ///< micro-batches
    bool open = false;      ///< the next one has begun: its memory is zeroed
  };
  struct BucketState {
    std::size_t waits_for = 0;  ///< blocks
    bool started = false;
    parallel::Background::Ticket ticket = 0;
  };

  std::span<float> block_of(std::size_t slot, std::size_t block) const;
  std::size_t open(std::size_t block);
  void start(std::size_t bucket);

  GradientParts parts_;
  GradientSettings settings_;
  int data_rank_, data_ranks_;
  std::vector<BlockSums> blocks_;
  std::vector<BucketState> buckets_;
  std::unique_ptr<parallel::CommunicatorMemory> shared_;
  std::vector<PageBuffer> own_;
  std::vector<std::span<float>> slots_;
  RankSums rank_sums_;
  PendingWork pending_;
};

}  // namespace stoa::trainer

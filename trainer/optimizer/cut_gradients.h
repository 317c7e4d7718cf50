#pragma once
/// GradientReduction where each rank keeps the gradients that it owns: Zero::kGradients.
#include <memory>
#include <vector>

#include "stoa/parallel/tree_order.h"
#include "stoa/trainer/optimizer/gradient_reduction.h"
#include "stoa/trainer/optimizer/pending_work.h"
#include "stoa/trainer/optimizer/rank_sums.h"

namespace stoa::trainer {

class CutGradients final : public GradientReduction {
 public:
  CutGradients(const GradientParts& parts, const GradientSettings& settings);
  static void plan_memory(const ParameterTable& table, const BucketPlan& plan, int data_rank,
                          const GradientSettings& settings, MemoryTable& memory);

  std::span<float> part(std::size_t block, std::int64_t offset, std::int64_t elements) override;
  void complete(std::size_t block) override;
  void begin_step() override;
  bool started(std::size_t bucket) const override { return buckets_[bucket].done == settings_.micro_batches; }
  void await(std::size_t bucket) override { pending_.wait(buckets_[bucket].ticket); }
  std::span<float> gradients() override { return slots_[0]; }

 private:
  /// Memory of a bucket from its first gradient of a micro-batch to the end of its reduction.
  struct Transient {
    std::span<float> memory;
    bool filling = false;
    parallel::Background::Ticket ticket = 0;  ///< of the last reduction from it
  };
  /// Transients of one size that are used in turn.
  struct Ring {
    std::vector<Transient> transients;
    std::size_t next = 0;
  };
  struct BucketSums {
    parallel::TreeAccumulator tree;
    Transient* transient = nullptr;  ///< of the micro-batch under way
    std::size_t waits_for = 0;       ///< blocks
    std::int64_t done = 0;           ///< micro-batches
    parallel::Background::Ticket ticket = 0;
  };
  /// What the background adds after the ranks are summed.
  struct Addition {
    float* to;
    const float* from;
  };

  BucketSums& open(std::size_t block);
  void reduce(std::size_t bucket);
  std::vector<Addition> file(BucketSums& sums, const parallel::Slice& part, std::span<float>& mine);

  GradientParts parts_;
  GradientSettings settings_;
  int data_rank_;
  std::vector<BucketSums> buckets_;
  std::unique_ptr<parallel::CommunicatorMemory> shared_;
  std::vector<std::int64_t> micro_batch_of_block_;
  Ring rings_[2];
  std::vector<PageBuffer> own_;
  std::vector<std::span<float>> slots_;
  RankSums rank_sums_;
  PendingWork pending_;
};

}  // namespace stoa::trainer

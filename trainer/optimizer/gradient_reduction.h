#pragma once
/// A step's gradients on one rank: takes those of its micro-batches block by block, sums them over micro-batches and
/// over the data ranks. A bucket's sum over ranks begins in the background as soon as its blocks are complete, while
/// the backward pass goes on.
///
/// Every data rank completes its blocks in the same order. Blocks of one bucket complete together: none of them begins
/// its next micro-batch before all have completed this one. Otherwise chunks and buckets may be in different
/// micro-batches, as interleaved and zero-bubble schedules have them.
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "stoa/parallel/background.h"
#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/model/gradient_sink.h"
#include "stoa/trainer/model/memory_plan.h"
#include "stoa/trainer/optimizer/bucket_plan.h"
#include "stoa/trainer/optimizer/sum_order.h"

namespace stoa::trainer {

struct GradientSettings {
  SumOrder order = SumOrder::kFast;
  std::int64_t micro_batches = 1;  ///< of this rank in a step
  /// Of all data ranks in a step: an embedding's gradient has no more rows that differ from 0.
  std::int64_t tokens = std::numeric_limits<std::int64_t>::max();
};

/// What it borrows.
struct GradientParts {
  cpu::Queue& queue;
  const ParameterTable& table;
  const BucketPlan& plan;
  parallel::Background& data;
};

class GradientReduction : public GradientSink {
 public:
  virtual void begin_step() = 0;
  /// The bucket's sum over the data ranks (of the last micro-batch) has been started.
  virtual bool started(std::size_t bucket) const = 0;
  /// Waits for it. REQUIRES: started. CommError where it failed.
  virtual void await(std::size_t bucket) = 0;
  /// Waits for all buckets. InternalError where a block has not completed all micro-batches.
  void finish();

  /// At the table's flat offsets, until begin_step. Only what plan.owned_gradients(this rank) has may be touched; it
  /// is summed once finish() is back.
  virtual std::span<float> gradients() = 0;

 protected:
  explicit GradientReduction(std::size_t buckets) : buckets_(buckets) {}

 private:
  std::size_t buckets_;
};

/// Collective over the data group, which gives the memory that is reduced in place.
///   kNone, kOptimizer  a buffer of everything; each bucket is reduced once, all of it or scattered
///   kGradients         a buffer of the owned parts; each bucket is scattered after every micro-batch, from one of a
///                      few buffers in turn
/// In the order kTree with further buffers of the same kind for the open partial sums.
std::unique_ptr<GradientReduction> make_gradient_reduction(const GradientParts& parts,
                                                           const GradientSettings& settings);

/// Adds to `memory` what make_gradient_reduction allocates on this data rank.
void plan_gradient_reduction(const ParameterTable& table, const BucketPlan& plan, int data_rank,
                             const GradientSettings& settings, MemoryTable& memory);

/// Buffers for the partial sums that are open at a time.
std::int64_t gradient_buffers(const GradientSettings& settings);

}  // namespace stoa::trainer

#include "stoa/trainer/optimizer/gradient_reduction.h"

#include "stoa/base/error.h"
#include "stoa/parallel/tree_order.h"
#include "stoa/trainer/optimizer/cut_gradients.h"
#include "stoa/trainer/optimizer/whole_gradients.h"

namespace stoa::trainer {

void GradientReduction::finish() {
  for (std::size_t bucket = 0; bucket < buckets_; ++bucket) {
    if (!started(bucket))
      throw InternalError("the step ends before gradient bucket {} of {} has all its micro-batches", bucket, buckets_);
    await(bucket);
  }
}

std::int64_t gradient_buffers(const GradientSettings& settings) {
  if (settings.order == SumOrder::kFast) return 1;
  return std::int64_t(parallel::TreeAccumulator::slots(std::size_t(settings.micro_batches)));
}

std::unique_ptr<GradientReduction> make_gradient_reduction(const GradientParts& parts,
                                                           const GradientSettings& settings) {
  if (parts.plan.zero == Zero::kGradients) return std::make_unique<CutGradients>(parts, settings);
  return std::make_unique<WholeGradients>(parts, settings);
}

void plan_gradient_reduction(const ParameterTable& table, const BucketPlan& plan, int data_rank,
                             const GradientSettings& settings, MemoryTable& memory) {
  if (plan.zero == Zero::kGradients)
    CutGradients::plan_memory(table, plan, data_rank, settings, memory);
  else
    WholeGradients::plan_memory(table, plan, settings, memory);
}

}  // namespace stoa::trainer

#pragma once
/// A clock that runs in the pipeline's messages instead of in time, and the published bubbles that it should show. For
/// tests and pipeline_bench.
#include <algorithm>
#include <functional>
#include <span>
#include <vector>

#include "stoa/parallel/pipeline_runner.h"
#include "stoa/parallel/pipeline_simulation.h"
#include "stoa/parallel/thread_ranks.h"

namespace stoa::parallel {

/// Bubble over ideal time of the papers (pipeline_schedule.h), for stages that are alike and costs of any unit.
inline double published_bubble(const PipelineShape& shape, const StepCosts& costs) {
  const auto [forward, input, weight] = costs;
  const double waiting = shape.stages - 1;
  const double micro_batches = shape.micro_batches;
  if (shape.kind == PipelineKind::kZeroBubble)
    return waiting * (forward + input - weight) / (micro_batches * (forward + input + weight));
  return waiting / (shape.chunks * micro_batches);
}

/// Where it holds: H1 from m = p on and where the weight gradient is not the longest step, forward passes alone with
/// chunks in whole groups of p micro-batches; the others always.
inline bool bubble_is_published(const PipelineShape& shape, const StepCosts& costs) {
  const auto [forward, input, weight] = costs;
  if (shape.kind == PipelineKind::kZeroBubble)
    return shape.micro_batches >= shape.stages && weight <= forward && weight <= input;
  return shape.kind != PipelineKind::kForwardOnly || shape.chunks == 1 || shape.micro_batches % shape.stages == 0;
}

/// Runs body on a thread a rank of the mesh.
inline void run_mesh(const MeshSize& size, const std::function<void(MeshGroups&)>& body, double deadline_s = 60) {
  run_thread_ranks(size.ranks(), deadline_s, [&](Communicator& job) {
    MeshGroups groups = make_mesh_groups(job, size);
    body(groups);
  });
}

/// Each message holds the time at which its sender made it; a step ends its cost after the later of its stage's time
/// and its message's. Whole numbers of seconds are exact.
class ClockWork final : public PipelineWork {
 public:
  explicit ClockWork(const StepCosts& costs) : costs_(costs) {}
  double now_s() const { return now_s_; }

  std::size_t message_floats(int) const override { return 1; }
  void forward(const PipelineAction&, std::span<const float> x_in, std::span<float> x_out) override {
    pass(x_in, costs_.forward_s, x_out);
  }
  void backward(const PipelineAction& action, std::span<const float> dx_out, std::span<float> dx_in) override {
    const bool both = action.step == PipelineStep::kBackward;
    pass(dx_out, costs_.backward_input_s + (both ? costs_.backward_weight_s : 0), dx_in);
  }
  void backward_weight(const PipelineAction&) override { now_s_ += costs_.backward_weight_s; }

 private:
  void pass(std::span<const float> in, double cost_s, std::span<float> out) {
    if (!in.empty()) now_s_ = std::max(now_s_, double(in[0]));
    now_s_ += cost_s;
    if (!out.empty()) out[0] = float(now_s_);
  }

  StepCosts costs_;
  double now_s_ = 0;
};

/// The bubble of the real runner on thread ranks, measured by the clock.
inline double measured_bubble(const PipelineShape& shape, const StepCosts& costs) {
  const auto plans = make_pipeline_schedule(shape);
  std::vector<double> ends_s(plans.size());
  run_mesh({.pipeline = shape.stages}, [&](MeshGroups& groups) {
    const auto stage = std::size_t(groups.at.pipeline);
    ClockWork clock(costs);
    PipelineRunner(groups, 1).run(shape, plans[stage], clock);
    ends_s[stage] = clock.now_s();
  });
  const bool backward = shape.kind != PipelineKind::kForwardOnly;
  const double ideal_s = costs.forward_s + (backward ? costs.backward_input_s + costs.backward_weight_s : 0);
  return *std::max_element(ends_s.begin(), ends_s.end()) / (ideal_s * shape.chunks * shape.micro_batches) - 1;
}

}  // namespace stoa::parallel

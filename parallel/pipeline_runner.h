#pragma once
/// Runs any stage's list of actions: one runner for all schedules. Messages go over MeshGroups' pipeline (activations)
/// and pipeline_back (gradients) groups.
#include <cstddef>
#include <span>
#include <vector>

#include "stoa/parallel/mesh_groups.h"
#include "stoa/parallel/pipeline_schedule.h"

namespace stoa::parallel {

/// What a stage does in a step. x and dx are the floats of one message; empty where the model begins or ends. The
/// outputs are this work's to fill; what they hold before is unspecified.
class PipelineWork {
 public:
  virtual ~PipelineWork() = default;
  /// Floats that go from chunk to chunk for this micro-batch; the same on both sides.
  virtual std::size_t message_floats(int micro_batch) const = 0;
  virtual void forward(const PipelineAction& action, std::span<const float> x_in, std::span<float> x_out) = 0;
  /// kBackward and kBackwardInput.
  virtual void backward(const PipelineAction& action, std::span<const float> dx_out, std::span<float> dx_in) = 0;
  virtual void backward_weight(const PipelineAction& action) = 0;
};

/// Four messages of memory, allocated once; none where there is one stage.
class PipelineRunner {
 public:
  /// Borrows the groups. most_floats: of one message.
  PipelineRunner(MeshGroups& groups, std::size_t most_floats);
  static std::size_t memory_bytes(const MeshSize& size, std::size_t most_floats);

  /// Collective over the pipeline group, called by one thread. REQUIRES: plan is this stage's of shape.
  ///
  /// An Error of the work or of a message is thrown on with the action in front ("stage 1, backward of micro-batch 3,
  /// chunk 0: ..."), as the same kind; any other exception unchanged. The list is not finished then: the other stages
  /// wait until the groups break or their deadline passes. InternalError where the shape is not of these groups'
  /// stages or a message is longer than most_floats.
  void run(const PipelineShape& shape, const PipelinePlan& plan, PipelineWork& work);

 private:
  void perform(const PipelineShape& shape, const PipelineAction& action, PipelineWork& work);
  void pass_message(PipelineStep step, std::size_t floats);

  MeshGroups& groups_;
  std::size_t most_floats_;
  std::vector<float> x_in_, x_out_, dx_out_, dx_in_;
};

}  // namespace stoa::parallel

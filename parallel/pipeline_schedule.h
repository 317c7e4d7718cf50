#pragma once
/// A pipeline schedule is data: for each stage the list of what it does, in order. Pure; planner, trainer and tests ask
/// the same function.
///
/// p stages, v chunks of layers a stage, m micro-batches. Global chunk g = chunk * p + stage: its input comes from g -
/// 1, the stage before (of chunk - 1 where the stage is the first), its output goes to g + 1.
///
///   kind            bubble / ideal time                      activations in flight on stage r
///   gpipe           (p-1)/m                                  m
///   1f1b            (p-1)/m                                  min(p-r, m)
///   interleaved     (p-1)/(v m)                              (p-1)/(p v) of a stage more than 1f1b's first
///   zero-bubble H1  (p-1)(tF+tB-tW) / (m (tF+tB+tW))         min(p, m), the weight gradients still to do included
///
/// tF forward, tB gradient of the input, tW of the weights, per micro-batch and stage. Sources: GPipe arXiv 1811.06965;
/// 1F1B and interleaved arXiv 2104.04473; zero-bubble arXiv 2401.10241.
#include <cstdint>
#include <string_view>
#include <vector>

namespace stoa::parallel {

enum class PipelineKind {
  kGpipe,
  kOneForwardOneBackward,
  kInterleaved,  ///< v > 1; m a multiple of p
  kZeroBubble,   ///< H1: backward split in two
  kForwardOnly,  ///< evaluation
};
std::string_view pipeline_kind_name(PipelineKind kind);

struct PipelineShape {
  PipelineKind kind = PipelineKind::kOneForwardOneBackward;
  int stages = 1;
  int chunks = 1;  ///< v, of each stage
  int micro_batches = 1;

  /// Has no neighbour to receive from / send to in the forward pass.
  bool first(int stage, int chunk) const { return stage == 0 && chunk == 0; }
  bool last(int stage, int chunk) const { return stage == stages - 1 && chunk == chunks - 1; }
};

enum class PipelineStep {
  kForward,
  kBackward,        ///< both gradients
  kBackwardInput,   ///< the input's alone
  kBackwardWeight,  ///< what kBackwardInput left
  kReceiveActivation,
  kSendActivation,
  kReceiveGradient,
  kSendGradient,
};

struct PipelineAction {
  PipelineStep step = PipelineStep::kForward;
  int chunk = 0;
  int micro_batch = 0;
  /// Where the chunk keeps what the backward pass needs, from kForward to the last step that reads it: the lowest free.
  int slot = 0;
  bool operator==(const PipelineAction&) const = default;
};

/// One stage's list. A receive stands right before the step that reads it, a send right after the step that made it.
struct PipelinePlan {
  std::vector<PipelineAction> actions;
  std::vector<int> slots;  ///< of each chunk: activations in flight at most
};

/// The plan of every stage. ConfigError with the arithmetic for a shape that the kind cannot have.
std::vector<PipelinePlan> make_pipeline_schedule(const PipelineShape& shape);

}  // namespace stoa::parallel

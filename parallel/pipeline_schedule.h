#pragma once
/// A pipeline schedule is data: for each stage the list of what it does, in order. Pure; planner, trainer and tests ask
/// the same function.
///
/// p stages, v chunks of layers a stage, m micro-batches. Global chunk g = chunk * p + stage: its input comes from
/// g - 1 on the stage before (chunk - 1 where the stage is the first), its output goes to g + 1.
///
///   kind            bubble / ideal time                      activations in flight on stage r, in chunks
///   gpipe           (p-1)/m                                  m
///   1f1b            (p-1)/m                                  min(p-r, m)
///   interleaved     (p-1)/(v m)                              min(2(p-r-1) + (v-1)p + 1, v m)
///   zero-bubble H1  (p-1)(tF+tB-tW) / (m (tF+tB+tW))         min(p, m), the weight gradients still to do included
///   forward only    (p-1)/(v m)                              1, and none is kept
///
/// tF forward, tB gradient of the input, tW of the weights, per micro-batch and stage; all stages alike, messages for
/// nothing. H1's bubble holds for m >= p, tW <= tF and tW <= tB, the forward-only one where p divides m (v = 1:
/// always); elsewhere they are longer, and pipeline_simulation.h gives them, as for any costs. Sources: GPipe arXiv
/// 1811.06965; 1F1B and interleaved arXiv 2104.04473; zero-bubble arXiv 2401.10241.
#include <string>
#include <string_view>
#include <vector>

namespace stoa::parallel {

enum class PipelineKind {
  kGpipe,
  kOneForwardOneBackward,
  kInterleaved,  ///< 1F1B over chunks: v > 1; m a multiple of p
  kZeroBubble,   ///< H1: backward split in two
  kForwardOnly,  ///< evaluation
};
std::string_view pipeline_kind_name(PipelineKind kind);

struct PipelineShape {
  PipelineKind kind = PipelineKind::kOneForwardOneBackward;
  int stages = 1;
  int chunks = 1;  ///< v, of each stage; more than one needs more than one stage, and kInterleaved or kForwardOnly
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

/// Whether a step is the last of its micro-batch that reads what its forward step kept.
bool ends_flight(PipelineKind kind, PipelineStep step);

/// "stage 1, backward of micro-batch 3, chunk 0": for messages to the operator.
std::string describe_action(int stage, const PipelineAction& action);

/// One stage's list. A receive stands right before the step that reads it, a send right after the step that made it.
/// For each chunk the forward steps come in ascending order of micro-batches, and so do the backward steps and the
/// weight gradients: a sum over micro-batches has the same order under every schedule.
struct PipelinePlan {
  std::vector<PipelineAction> actions;
  std::vector<int> slots;  ///< of each chunk: activations in flight at most
};

/// The plan of every stage. ConfigError with the arithmetic for a shape that the kind cannot have. One stage is no
/// pipeline: every kind has a list without messages then, kInterleaved that of 1F1B.
///
/// The lists end without a deadlock, whatever the steps cost, where a link holds Communicator::kWaitingMessages
/// messages.
std::vector<PipelinePlan> make_pipeline_schedule(const PipelineShape& shape);

}  // namespace stoa::parallel

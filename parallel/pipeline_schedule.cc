#include "stoa/parallel/pipeline_schedule.h"

#include <algorithm>
#include <cstddef>
#include <deque>
#include <span>

#include "stoa/base/error.h"

namespace stoa::parallel {
namespace {

void check(const PipelineShape& shape) {
  const auto [kind, stages, chunks, micro_batches] = shape;
  const std::string_view name = pipeline_kind_name(kind);
  if (stages < 1 || chunks < 1 || micro_batches < 1)
    throw ConfigError("a {} schedule of {} stages, {} chunks a stage and {} micro-batches: each is 1 at least", name,
                      stages, chunks, micro_batches);
  if (chunks > 1 && stages == 1)
    throw ConfigError("{} chunks on one stage: chunks shorten the waiting between stages, so one stage has one chunk",
                      chunks);
  if (chunks > 1 && kind != PipelineKind::kInterleaved && kind != PipelineKind::kForwardOnly)
    throw ConfigError("a {} schedule has one chunk a stage, not {}: take {}, or one chunk", name, chunks,
                      pipeline_kind_name(PipelineKind::kInterleaved));
  if (kind != PipelineKind::kInterleaved || stages == 1) return;
  if (chunks == 1)
    throw ConfigError("an interleaved schedule with one chunk a stage is {}: take that, or 2 chunks or more",
                      pipeline_kind_name(PipelineKind::kOneForwardOneBackward));
  const int below = micro_batches / stages * stages;
  if (const int over = micro_batches - below; over != 0)
    throw ConfigError(
        "an interleaved schedule needs whole groups of one micro-batch a stage, but {} micro-batches = {}"
        " x {} stages + {}: take {}{}",
        micro_batches, micro_batches / stages, stages, over, below == 0 ? "" : fmt::format("{} or ", below),
        below + stages);
}

// Groups of p micro-batches go through chunk after chunk, so that a micro-batch comes back to the first stage as the
// rest of its group has left it. One chunk: just in order.
std::vector<PipelineAction> in_groups(const PipelineShape& shape, PipelineStep step) {
  std::vector<PipelineAction> steps;
  for (int group = 0; group < shape.micro_batches; group += shape.stages)
    for (int place = 0; place < shape.chunks; ++place)
      for (int at = group; at < std::min(group + shape.stages, shape.micro_batches); ++at)
        steps.push_back({.step = step,
                         .chunk = step == PipelineStep::kForward ? place : shape.chunks - 1 - place,
                         .micro_batch = at});
  return steps;
}

// Forward steps before the first backward step of a stage; from there on they take turns.
int forwards_ahead(const PipelineShape& shape, int stage) {
  const int behind = shape.stages - stage - 1;
  switch (shape.kind) {
    case PipelineKind::kOneForwardOneBackward:
    case PipelineKind::kZeroBubble:
      return behind;
    case PipelineKind::kInterleaved:
      return 2 * behind + (shape.chunks - 1) * shape.stages;
    case PipelineKind::kGpipe:
    case PipelineKind::kForwardOnly:
      break;
  }
  return shape.chunks * shape.micro_batches;
}

// `ahead` forward steps, then one of each in turns, then the backward steps that remain.
std::vector<PipelineAction> in_turns(std::span<const PipelineAction> forwards,
                                     std::span<const PipelineAction> backwards, int ahead) {
  const std::size_t first = std::min(forwards.size(), std::size_t(ahead));
  std::vector<PipelineAction> steps(forwards.begin(), forwards.begin() + std::ptrdiff_t(first));
  for (std::size_t turn = 0; turn < backwards.size(); ++turn) {
    if (first + turn < forwards.size()) steps.push_back(forwards[first + turn]);
    steps.push_back(backwards[turn]);
  }
  return steps;
}

// H1: stage r leaves r weight gradients undone until the end. It begins r forward steps after the first stage and
// catches up by its first r backward steps, which do the input's gradient alone; what it left fills the end, where the
// stages before still pass gradients on. With the p - r micro-batches of 1F1B that makes p in flight.
std::vector<PipelineAction> with_weight_gradients(std::span<const PipelineAction> steps, int undone) {
  std::vector<PipelineAction> all;
  std::deque<PipelineAction> waiting;
  const auto do_weights = [&](std::size_t left) {
    for (; waiting.size() > left; waiting.pop_front()) all.push_back(waiting.front());
  };
  for (const PipelineAction& step : steps) {
    all.push_back(step);
    if (step.step != PipelineStep::kBackwardInput) continue;
    waiting.push_back(step);
    waiting.back().step = PipelineStep::kBackwardWeight;
    do_weights(std::size_t(undone));
  }
  do_weights(0);
  return all;
}

std::vector<PipelineAction> compute_steps(const PipelineShape& shape, int stage) {
  const std::vector<PipelineAction> forwards = in_groups(shape, PipelineStep::kForward);
  if (shape.kind == PipelineKind::kForwardOnly) return forwards;
  const bool split = shape.kind == PipelineKind::kZeroBubble;
  const std::vector<PipelineAction> backwards =
      in_groups(shape, split ? PipelineStep::kBackwardInput : PipelineStep::kBackward);
  const std::vector<PipelineAction> steps = in_turns(forwards, backwards, forwards_ahead(shape, stage));
  return split ? with_weight_gradients(steps, stage) : steps;
}

// The slots of one chunk: who holds which.
class Slots {
 public:
  static constexpr int kFree = -1;

  int take(int micro_batch) {
    const auto free = std::find(holders_.begin(), holders_.end(), kFree);
    const auto slot = free - holders_.begin();
    if (free == holders_.end()) holders_.push_back(kFree);
    holders_[std::size_t(slot)] = micro_batch;
    return int(slot);
  }
  int of(int micro_batch) const {
    return int(std::find(holders_.begin(), holders_.end(), micro_batch) - holders_.begin());
  }
  void give_back(int slot) { holders_[std::size_t(slot)] = kFree; }
  int count() const { return int(holders_.size()); }

 private:
  std::vector<int> holders_;
};

void add_with_messages(const PipelineShape& shape, int stage, PipelineAction action,
                       std::vector<PipelineAction>& actions) {
  const bool first = shape.first(stage, action.chunk);
  const bool last = shape.last(stage, action.chunk);
  const auto add = [&](PipelineStep step) {
    actions.push_back(action);
    actions.back().step = step;
  };
  switch (action.step) {
    case PipelineStep::kForward:
      if (!first) add(PipelineStep::kReceiveActivation);
      add(action.step);
      if (!last) add(PipelineStep::kSendActivation);
      break;
    case PipelineStep::kBackward:
    case PipelineStep::kBackwardInput:
      if (!last) add(PipelineStep::kReceiveGradient);
      add(action.step);
      if (!first) add(PipelineStep::kSendGradient);
      break;
    default:
      add(action.step);
  }
}

PipelinePlan make_plan(const PipelineShape& shape, int stage) {
  PipelinePlan plan;
  std::vector<Slots> slots(std::size_t(shape.chunks));
  for (PipelineAction action : compute_steps(shape, stage)) {
    Slots& of_chunk = slots[std::size_t(action.chunk)];
    action.slot =
        action.step == PipelineStep::kForward ? of_chunk.take(action.micro_batch) : of_chunk.of(action.micro_batch);
    add_with_messages(shape, stage, action, plan.actions);
    if (ends_flight(shape.kind, action.step)) of_chunk.give_back(action.slot);
  }
  for (const Slots& of_chunk : slots) plan.slots.push_back(of_chunk.count());
  return plan;
}

std::string_view step_name(PipelineStep step) {
  switch (step) {
    case PipelineStep::kForward:
      return "forward";
    case PipelineStep::kBackward:
      return "backward";
    case PipelineStep::kBackwardInput:
      return "gradient of the input";
    case PipelineStep::kBackwardWeight:
      return "gradient of the weights";
    case PipelineStep::kReceiveActivation:
      return "receiving the activations";
    case PipelineStep::kSendActivation:
      return "sending the activations";
    case PipelineStep::kReceiveGradient:
      return "receiving the gradient";
    case PipelineStep::kSendGradient:
      return "sending the gradient";
  }
  return "unknown step";
}

}  // namespace

std::string_view pipeline_kind_name(PipelineKind kind) {
  switch (kind) {
    case PipelineKind::kGpipe:
      return "gpipe";
    case PipelineKind::kOneForwardOneBackward:
      return "1f1b";
    case PipelineKind::kInterleaved:
      return "interleaved";
    case PipelineKind::kZeroBubble:
      return "zero_bubble";
    case PipelineKind::kForwardOnly:
      return "forward-only";
  }
  return "unknown";
}

bool ends_flight(PipelineKind kind, PipelineStep step) {
  switch (kind) {
    case PipelineKind::kForwardOnly:
      return step == PipelineStep::kForward;
    case PipelineKind::kZeroBubble:
      return step == PipelineStep::kBackwardWeight;
    default:
      return step == PipelineStep::kBackward;
  }
}

std::string describe_action(int stage, const PipelineAction& action) {
  return fmt::format("stage {}, {} of micro-batch {}, chunk {}", stage, step_name(action.step), action.micro_batch,
                     action.chunk);
}

std::vector<PipelinePlan> make_pipeline_schedule(const PipelineShape& shape) {
  check(shape);
  std::vector<PipelinePlan> plans;
  for (int stage = 0; stage < shape.stages; ++stage) plans.push_back(make_plan(shape, stage));
  return plans;
}

}  // namespace stoa::parallel

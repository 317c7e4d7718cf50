#include "stoa/parallel/pipeline_runner.h"

#include <string>

#include "stoa/base/error.h"

namespace stoa::parallel {
namespace {

template <ErrorKind Kind>
void throw_where(const Error& error, const std::string& place) {
  if (error.kind() == Kind) throw ErrorOf<Kind>("{}: {}", place, error.what());
}

template <ErrorKind... Kinds>
[[noreturn]] void throw_with_place(const Error& error, const std::string& place) {
  (throw_where<Kinds>(error, place), ...);
  throw Error(error.kind(), place + ": " + error.what());
}

[[noreturn]] void throw_from(const Error& error, const std::string& place) {
  throw_with_place<ErrorKind::kInternal, ErrorKind::kUsage, ErrorKind::kConfig, ErrorKind::kData,
                   ErrorKind::kCheckpoint, ErrorKind::kStorage, ErrorKind::kComm, ErrorKind::kNumeric,
                   ErrorKind::kResource>(error, place);
}

}  // namespace

PipelineRunner::PipelineRunner(MeshGroups& groups, std::size_t most_floats)
    : groups_(groups), most_floats_(most_floats) {
  if (groups.size.pipeline == 1) return;
  for (std::vector<float>* buffer : {&x_in_, &x_out_, &dx_out_, &dx_in_}) buffer->resize(most_floats);
}

std::size_t PipelineRunner::memory_bytes(const MeshSize& size, std::size_t most_floats) {
  return size.pipeline == 1 ? 0 : 4 * most_floats * sizeof(float);
}

void PipelineRunner::run(const PipelineShape& shape, const PipelinePlan& plan, PipelineWork& work) {
  if (shape.stages != groups_.size.pipeline)
    throw InternalError("a schedule of {} stages on a mesh of {}", shape.stages, groups_.size.pipeline);
  for (const PipelineAction& action : plan.actions) try {
      perform(shape, action, work);
    } catch (const Error& error) {
      throw_from(error, describe_action(groups_.at.pipeline, action));
    }
}

void PipelineRunner::perform(const PipelineShape& shape, const PipelineAction& action, PipelineWork& work) {
  const std::size_t floats = shape.stages == 1 ? 0 : work.message_floats(action.micro_batch);
  if (floats > most_floats_) throw InternalError("a message of {} floats, where {} are the most", floats, most_floats_);
  const bool first = shape.first(groups_.at.pipeline, action.chunk);
  const bool last = shape.last(groups_.at.pipeline, action.chunk);
  const auto message_unless = [&](bool end, std::vector<float>& buffer) {
    return std::span(buffer).first(end ? 0 : floats);
  };
  switch (action.step) {
    case PipelineStep::kForward:
      return work.forward(action, message_unless(first, x_in_), message_unless(last, x_out_));
    case PipelineStep::kBackward:
    case PipelineStep::kBackwardInput:
      return work.backward(action, message_unless(last, dx_out_), message_unless(first, dx_in_));
    case PipelineStep::kBackwardWeight:
      return work.backward_weight(action);
    default:
      return pass_message(action.step, floats);
  }
}

void PipelineRunner::pass_message(PipelineStep step, std::size_t floats) {
  const int stages = groups_.size.pipeline;
  const int next = (groups_.at.pipeline + 1) % stages;
  const int before = (groups_.at.pipeline + stages - 1) % stages;
  const auto message = [&](std::vector<float>& buffer) {
    return std::as_writable_bytes(std::span(buffer).first(floats));
  };
  if (step == PipelineStep::kReceiveActivation) groups_.pipeline->receive(message(x_in_), before, "activations");
  if (step == PipelineStep::kSendActivation) groups_.pipeline->send(message(x_out_), next, "activations");
  if (step == PipelineStep::kReceiveGradient) groups_.pipeline_back->receive(message(dx_out_), next, "gradient");
  if (step == PipelineStep::kSendGradient) groups_.pipeline_back->send(message(dx_in_), before, "gradient");
}

}  // namespace stoa::parallel

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
  const int stage = groups_.at.pipeline;
  const int next = (stage + 1) % shape.stages;
  const int before = (stage + shape.stages - 1) % shape.stages;
  const bool first = shape.first(stage, action.chunk);
  const bool last = shape.last(stage, action.chunk);
  const std::size_t floats = shape.stages == 1 ? 0 : work.message_floats(action.micro_batch);
  if (floats > most_floats_) throw InternalError("a message of {} floats, where {} are the most", floats, most_floats_);
  const auto message = [&](std::vector<float>& buffer) { return std::span(buffer).first(floats); };
  const auto message_unless = [&](bool end, std::vector<float>& buffer) {
    return end ? std::span<float>() : message(buffer);
  };
  switch (action.step) {
    case PipelineStep::kForward:
      return work.forward(action, message_unless(first, x_in_), message_unless(last, x_out_));
    case PipelineStep::kBackward:
    case PipelineStep::kBackwardInput:
      return work.backward(action, message_unless(last, dx_out_), message_unless(first, dx_in_));
    case PipelineStep::kBackwardWeight:
      return work.backward_weight(action);
    case PipelineStep::kReceiveActivation:
      return groups_.pipeline->receive(std::as_writable_bytes(message(x_in_)), before, "activations");
    case PipelineStep::kSendActivation:
      return groups_.pipeline->send(std::as_bytes(message(x_out_)), next, "activations");
    case PipelineStep::kReceiveGradient:
      return groups_.pipeline_back->receive(std::as_writable_bytes(message(dx_out_)), next, "gradient");
    case PipelineStep::kSendGradient:
      return groups_.pipeline_back->send(std::as_bytes(message(dx_in_)), before, "gradient");
  }
}

}  // namespace stoa::parallel

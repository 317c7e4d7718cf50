#pragma once
/// The shapes over which the pipeline's promises are tested.
#include <ostream>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/parallel/pipeline_schedule.h"

namespace stoa::parallel {

inline void PrintTo(const PipelineShape& shape, std::ostream* out) {
  *out << fmt::format("{}, {} stages of {} chunks, {} micro-batches", pipeline_kind_name(shape.kind), shape.stages,
                      shape.chunks, shape.micro_batches);
}

inline std::ostream& operator<<(std::ostream& out, const PipelineShape& shape) {
  PrintTo(shape, &out);
  return out;
}

inline constexpr PipelineKind kPipelineKinds[] = {PipelineKind::kGpipe, PipelineKind::kOneForwardOneBackward,
                                                  PipelineKind::kInterleaved, PipelineKind::kZeroBubble,
                                                  PipelineKind::kForwardOnly};

/// 1 to 8 stages, 1 to 4 chunks, 1 to 24 micro-batches, allowed or not.
inline std::vector<PipelineShape> all_shapes() {
  std::vector<PipelineShape> shapes;
  for (const PipelineKind kind : kPipelineKinds)
    for (int stages = 1; stages <= 8; ++stages)
      for (int chunks = 1; chunks <= 4; ++chunks)
        for (int micro_batches = 1; micro_batches <= 24; ++micro_batches)
          shapes.push_back({.kind = kind, .stages = stages, .chunks = chunks, .micro_batches = micro_batches});
  return shapes;
}

inline bool is_allowed(const PipelineShape& shape) {
  if (shape.stages == 1) return shape.chunks == 1;
  if (shape.kind == PipelineKind::kInterleaved) return shape.chunks > 1 && shape.micro_batches % shape.stages == 0;
  return shape.chunks == 1 || shape.kind == PipelineKind::kForwardOnly;
}

inline std::vector<PipelineShape> allowed_shapes() {
  std::vector<PipelineShape> shapes = all_shapes();
  std::erase_if(shapes, [](const PipelineShape& shape) { return !is_allowed(shape); });
  return shapes;
}

}  // namespace stoa::parallel

#include "stoa/parallel/mesh_groups.h"

#include "stoa/base/error.h"

namespace stoa::parallel {

namespace {

constexpr std::string_view kData = "data group";
constexpr std::string_view kPipeline = "pipeline group";
constexpr std::string_view kPipelineBack = "backward pipeline group";
constexpr std::string_view kTensor = "tensor group";
constexpr std::string_view kModel = "model group";
constexpr std::string_view kEnds = "pipeline ends";

// Of the ranks of a group, the one at place 0 of the axes that it spans gives the colour.
MeshCoordinate first_of(const MeshSize& size, const MeshCoordinate& at, std::string_view group) {
  if (group == kData) return {0, at.pipeline, at.tensor};
  if (group == kPipeline || group == kPipelineBack) return {at.data, 0, at.tensor};
  if (group == kTensor) return {at.data, at.pipeline, 0};
  if (group == kModel) return {at.data, 0, 0};
  if (group == kEnds) return {at.data, at.pipeline == size.pipeline - 1 ? 0 : at.pipeline, at.tensor};
  throw InternalError("a mesh has no group named {}", group);
}

}  // namespace

int mesh_colour(const MeshSize& size, int rank, std::string_view group) {
  return mesh_rank(size, first_of(size, mesh_coordinate(size, rank), group));
}

MeshGroups make_mesh_groups(Communicator& job, const MeshSize& size) {
  if (size.ranks() != job.size())
    throw InternalError("a mesh of {} ranks cannot lie over a job of {}", size.ranks(), job.size());
  const auto group = [&](std::string_view name) { return job.split(mesh_colour(size, job.rank(), name), name); };
  MeshGroups groups{.size = size,
                    .at = mesh_coordinate(size, job.rank()),
                    .job = job,
                    .data = group(kData),
                    .pipeline = group(kPipeline),
                    .pipeline_back = group(kPipelineBack),
                    .tensor = group(kTensor),
                    .model = group(kModel),
                    .ends = nullptr};
  if (size.pipeline > 1) {
    groups.ends = group(kEnds);
    if (!groups.first_stage() && !groups.last_stage()) groups.ends.reset();
  }
  return groups;
}

}  // namespace stoa::parallel

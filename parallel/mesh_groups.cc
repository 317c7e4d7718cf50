#include "stoa/parallel/mesh_groups.h"

#include "stoa/base/error.h"

namespace stoa::parallel {

MeshGroups make_mesh_groups(Communicator& job, const MeshSize& size) {
  if (size.ranks() != job.size())
    throw InternalError("a mesh of {} ranks cannot lie over a job of {}", size.ranks(), job.size());
  const MeshCoordinate at = mesh_coordinate(size, job.rank());
  // Of the ranks of a group, the one at place 0 of the axes that it spans gives the colour.
  const auto group = [&](std::string_view name, MeshCoordinate first) {
    return job.split(mesh_rank(size, first), name);
  };
  MeshGroups groups{.size = size,
                    .at = at,
                    .job = job,
                    .data = group("data group", {0, at.pipeline, at.tensor}),
                    .pipeline = group("pipeline group", {at.data, 0, at.tensor}),
                    .pipeline_back = group("pipeline group, backward", {at.data, 0, at.tensor}),
                    .tensor = group("tensor group", {at.data, at.pipeline, 0}),
                    .model = group("model group", {at.data, 0, 0}),
                    .ends = nullptr};
  if (size.pipeline > 1) {
    const bool end = groups.first_stage() || groups.last_stage();
    groups.ends = group("pipeline ends", {at.data, end ? 0 : at.pipeline, at.tensor});
    if (!end) groups.ends.reset();
  }
  return groups;
}

}  // namespace stoa::parallel

#pragma once
/// The groups of one rank on a mesh: whom it meets on each axis.
#include <memory>
#include <string_view>

#include "stoa/parallel/communicator.h"
#include "stoa/parallel/mesh.h"

namespace stoa::parallel {

struct MeshGroups {
  MeshSize size;
  MeshCoordinate at;
  Communicator& job;                            ///< all ranks; decisions of all
  std::unique_ptr<Communicator> data;           ///< same stage, same slice: sums of gradients
  std::unique_ptr<Communicator> pipeline;       ///< same samples, same slice: activations, from stage to stage
  std::unique_ptr<Communicator> pipeline_back;  ///< the same ranks again: gradients, which must not queue behind those
  std::unique_ptr<Communicator> tensor;         ///< same samples, same stage: slices of each product
  std::unique_ptr<Communicator> model;          ///< pipeline x tensor: the ranks that hold one model together
  /// First and last stage, same samples, same slice (rank 0 and 1): the two copies of a tied embedding. Null on other
  /// stages and where there is one stage.
  std::unique_ptr<Communicator> ends;

  bool first_stage() const { return at.pipeline == 0; }
  bool last_stage() const { return at.pipeline == size.pipeline - 1; }
};

/// The colour that a rank of the job gives for the group of this name: what make_mesh_groups splits by, and what a
/// DryRun is to be told. InternalError for another name.
int mesh_colour(const MeshSize& size, int rank, std::string_view group);

/// Collective over `job`, whose size is size.ranks() (InternalError).
MeshGroups make_mesh_groups(Communicator& job, const MeshSize& size);

}  // namespace stoa::parallel

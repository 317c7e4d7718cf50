#pragma once
/// What the ranks of a save tell each other about their pieces, and what rank 0 makes of it.
#include <span>
#include <string>
#include <vector>

#include "stoa/checkpoint/hdf5_global_view.h"
#include "stoa/checkpoint/tiling.h"

namespace stoa::checkpoint {

/// One rank's pieces as a text for the others.
std::string describe_pieces(std::span<const PieceDescription> pieces);

/// Which piece stands in which shard, and the tensors that all of them make up.
struct SavePlan {
  std::vector<PieceSource> sources;
  std::vector<GlobalTensor> tensors;  ///< sorted by name
};

/// InternalError that names the first tensor that the pieces do not tile exactly once.
SavePlan make_save_plan(std::vector<PieceSource> sources);
/// The same from the ranks' texts, in the order of ranks.
SavePlan make_save_plan(std::span<const std::string> texts);

}  // namespace stoa::checkpoint

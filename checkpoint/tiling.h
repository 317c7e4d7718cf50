#pragma once
/// Whether pieces cover every tensor exactly once.
#include <span>
#include <string>
#include <vector>

#include "stoa/checkpoint/tensor_piece.h"

namespace stoa::checkpoint {

struct PieceDescription {
  GlobalTensor tensor;
  parallel::Box box;
};

/// The tensors that the pieces make up, sorted by name; each description's tensor and box were checked on their own
/// before. `defect` names the first tensor whose pieces disagree about its shape, overlap or leave a gap, or whose name
/// is a folder of another's; it is empty where all is well.
struct Tiling {
  std::vector<GlobalTensor> tensors;
  std::string defect;
};

Tiling tile(std::span<const PieceDescription> pieces);

}  // namespace stoa::checkpoint

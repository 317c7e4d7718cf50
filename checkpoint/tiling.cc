#include "stoa/checkpoint/tiling.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>

#include "stoa/checkpoint/tensor_json.h"

namespace stoa::checkpoint {
namespace {

using Boxes = std::vector<const parallel::Box*>;

/// Sorted along the first dim, a box meets only followers that begin before it ends: near-linear for slices of rows.
std::string overlap(Boxes& boxes) {
  if (boxes.size() < 2) return {};
  const bool scalar = boxes[0]->begin.empty();
  if (!scalar)
    std::sort(boxes.begin(), boxes.end(), [](const auto* a, const auto* b) { return a->begin[0] < b->begin[0]; });
  for (std::size_t i = 0; i < boxes.size(); ++i) {
    for (std::size_t j = i + 1; j < boxes.size(); ++j) {
      if (!scalar && boxes[j]->begin[0] >= boxes[i]->begin[0] + boxes[i]->size[0]) break;
      if (scalar || parallel::intersect(*boxes[i], *boxes[j]))
        return fmt::format("pieces {} and {} overlap", describe_box(*boxes[i]), describe_box(*boxes[j]));
    }
  }
  return {};
}

std::string cover_defect(const GlobalTensor& tensor, Boxes& boxes) {
  if (std::string defect = overlap(boxes); !defect.empty()) return defect;
  std::int64_t covered = 0;
  for (const parallel::Box* box : boxes) covered += box->elements();
  if (covered == tensor_elements(tensor)) return {};
  return fmt::format("its pieces hold {} of the {} elements of shape {}", covered, tensor_elements(tensor),
                     describe_shape(tensor.shape));
}

struct Group {
  const GlobalTensor* tensor = nullptr;
  Boxes boxes;
};

/// HDF5 keeps a dataset or a group under one name, not both.
std::string folder_defect(const std::map<std::string, Group>& groups, const std::string& name) {
  for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1))
    if (groups.contains(name.substr(0, slash)))
      return fmt::format("tensor {}: its name begins with the name of tensor {}", name, name.substr(0, slash));
  return {};
}

}  // namespace

Tiling tile(std::span<const PieceDescription> pieces) {
  Tiling tiling;
  std::map<std::string, Group> groups;
  for (const PieceDescription& piece : pieces) {
    Group& group = groups[piece.tensor.name];
    if (group.tensor == nullptr) group.tensor = &piece.tensor;
    if (group.tensor->shape != piece.tensor.shape || group.tensor->dtype != piece.tensor.dtype) {
      tiling.defect = fmt::format("tensor {}: one piece says shape {}, another {}", piece.tensor.name,
                                  describe_shape(group.tensor->shape), describe_shape(piece.tensor.shape));
      return tiling;
    }
    if (piece.box.elements() > 0) group.boxes.push_back(&piece.box);
  }
  for (auto& [name, group] : groups) {
    tiling.tensors.push_back(*group.tensor);
    if (std::string defect = cover_defect(*group.tensor, group.boxes); !defect.empty())
      tiling.defect = fmt::format("tensor {}: {}", name, defect);
    else
      tiling.defect = folder_defect(groups, name);
    if (!tiling.defect.empty()) return tiling;
  }
  return tiling;
}

}  // namespace stoa::checkpoint

#include "stoa/parallel/mesh.h"

namespace stoa::parallel {

std::string_view axis_name(Axis axis) {
  switch (axis) {
    case Axis::kTensor:
      return "tensor";
    case Axis::kData:
      return "data";
    case Axis::kPipeline:
      return "pipeline";
  }
  return "unknown";
}

MeshCoordinate mesh_coordinate(const MeshSize& size, int rank) {
  return {.data = rank / size.tensor % size.data,
          .pipeline = rank / (size.tensor * size.data),
          .tensor = rank % size.tensor};
}

int mesh_rank(const MeshSize& size, const MeshCoordinate& coordinate) {
  return (coordinate.pipeline * size.data + coordinate.data) * size.tensor + coordinate.tensor;
}

}  // namespace stoa::parallel

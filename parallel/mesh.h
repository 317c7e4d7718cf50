#pragma once
/// Where a rank stands: coordinates on the axes data x pipeline x tensor. Rank order: tensor fastest, then data, then
/// pipeline: rank = (pipeline * data_size + data) * tensor_size + tensor, so that tensor groups stay inside a node.
#include <array>
#include <cstdint>
#include <string_view>

namespace stoa::parallel {

enum class Axis { kTensor, kData, kPipeline };

std::string_view axis_name(Axis axis);

struct MeshSize {
  int data = 1;
  int pipeline = 1;
  int tensor = 1;

  int ranks() const { return data * pipeline * tensor; }
  bool operator==(const MeshSize&) const = default;
};

struct MeshCoordinate {
  int data = 0;
  int pipeline = 0;
  int tensor = 0;
  bool operator==(const MeshCoordinate&) const = default;
};

/// REQUIRES: 0 <= rank < size.ranks().
MeshCoordinate mesh_coordinate(const MeshSize& size, int rank);
int mesh_rank(const MeshSize& size, const MeshCoordinate& coordinate);

}  // namespace stoa::parallel

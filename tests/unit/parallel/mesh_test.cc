#include "stoa/parallel/mesh.h"

#include <gtest/gtest.h>

namespace stoa::parallel {
namespace {

TEST(Mesh, TensorIsTheFastestAxisThenDataThenPipeline) {
  const MeshSize size{.data = 3, .pipeline = 5, .tensor = 2};
  EXPECT_EQ(mesh_coordinate(size, 1), (MeshCoordinate{.data = 0, .pipeline = 0, .tensor = 1}));
  EXPECT_EQ(mesh_coordinate(size, 2), (MeshCoordinate{.data = 1, .pipeline = 0, .tensor = 0}));
  EXPECT_EQ(mesh_coordinate(size, 6), (MeshCoordinate{.data = 0, .pipeline = 1, .tensor = 0}));
}

TEST(Mesh, RankAndCoordinateAreEachOthersInverse) {
  const MeshSize size{.data = 3, .pipeline = 5, .tensor = 7};
  ASSERT_EQ(size.ranks(), 105);
  for (int rank = 0; rank < size.ranks(); ++rank) EXPECT_EQ(mesh_rank(size, mesh_coordinate(size, rank)), rank);
}

TEST(Mesh, AxesHaveTheNamesOfTheirFields) {
  EXPECT_EQ(axis_name(Axis::kTensor), "tensor");
  EXPECT_EQ(axis_name(Axis::kData), "data");
  EXPECT_EQ(axis_name(Axis::kPipeline), "pipeline");
}

}  // namespace
}  // namespace stoa::parallel

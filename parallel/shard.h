#pragma once
/// Sharding is integer arithmetic: which slice of a global tensor a coordinate holds. The model, the optimizer, the
/// data sampler and the checkpoint all ask these functions.
#include <cstdint>
#include <optional>
#include <vector>

namespace stoa::parallel {

/// A half-open range of indexes.
struct Slice {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t size() const { return end - begin; }
  bool operator==(const Slice&) const = default;
};

/// Part `index` of `parts` of 0..extent: sizes differ by one at most, the larger ones first.
Slice balanced_slice(std::int64_t extent, int parts, int index);

/// A box in a global tensor: begin and size along each dim.
struct Box {
  std::vector<std::int64_t> begin;
  std::vector<std::int64_t> size;
  std::int64_t elements() const;
  bool operator==(const Box&) const = default;
};

/// The whole of a tensor of this shape.
Box whole_box(const std::vector<std::int64_t>& shape);
/// What two boxes of one tensor share; nothing where they do not meet.
std::optional<Box> intersect(const Box& a, const Box& b);

/// How a tensor lies on an axis of the mesh.
enum class PlacementKind {
  kReplicated,  ///< every rank holds the same values, computed the same way
  kSharded,     ///< each rank holds its balanced slice of dim `dim`
  kPartial,     ///< each rank holds a term of a sum (a gradient before its reduction)
};

struct Placement {
  PlacementKind kind = PlacementKind::kReplicated;
  int dim = 0;
  int copies = 1;  ///< kSharded: neighbouring ranks that hold the same slice (key-value heads fewer than ranks)
  bool operator==(const Placement&) const = default;
};

/// The box that part `index` of `parts` holds of a tensor of this shape.
Box shard_box(const std::vector<std::int64_t>& shape, const Placement& placement, int parts, int index);

}  // namespace stoa::parallel

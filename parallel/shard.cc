#include "stoa/parallel/shard.h"

#include <algorithm>

#include "stoa/base/error.h"

namespace stoa::parallel {

Slice balanced_slice(std::int64_t extent, int parts, int index) {
  const std::int64_t quotient = extent / parts;
  const std::int64_t remainder = extent % parts;
  const std::int64_t begin = index * quotient + std::min<std::int64_t>(index, remainder);
  return {begin, begin + quotient + (index < remainder ? 1 : 0)};
}

std::int64_t Box::elements() const {
  std::int64_t product = 1;
  for (const std::int64_t extent : size) product *= extent;
  return product;
}

Box whole_box(const std::vector<std::int64_t>& shape) {
  return {.begin = std::vector<std::int64_t>(shape.size(), 0), .size = shape};
}

std::optional<Box> intersect(const Box& a, const Box& b) {
  if (a.begin.size() != b.begin.size())
    throw InternalError("boxes of {} and {} dims cannot belong to one tensor", a.begin.size(), b.begin.size());
  Box shared;
  for (std::size_t dim = 0; dim < a.begin.size(); ++dim) {
    const std::int64_t begin = std::max(a.begin[dim], b.begin[dim]);
    const std::int64_t end = std::min(a.begin[dim] + a.size[dim], b.begin[dim] + b.size[dim]);
    if (begin >= end) return std::nullopt;
    shared.begin.push_back(begin);
    shared.size.push_back(end - begin);
  }
  return shared;
}

Box shard_box(const std::vector<std::int64_t>& shape, const Placement& placement, int parts, int index) {
  Box box = whole_box(shape);
  if (placement.kind != PlacementKind::kSharded) return box;
  const auto dim = static_cast<std::size_t>(placement.dim);
  if (dim >= shape.size())
    throw InternalError("a tensor of {} dims cannot be sharded along dim {}", shape.size(), placement.dim);
  const Slice slice = balanced_slice(shape[dim], parts / placement.copies, index / placement.copies);
  box.begin[dim] = slice.begin;
  box.size[dim] = slice.size();
  return box;
}

}  // namespace stoa::parallel

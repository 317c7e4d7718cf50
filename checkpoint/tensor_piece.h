#pragma once
/// A piece of a named global tensor in memory: what a checkpoint is made of. Nothing here knows a model.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stoa/parallel/shard.h"

namespace stoa::checkpoint {

/// Everything Stoa keeps is fp32; the type is in the piece table so that others can follow.
enum class DType { kFloat32 };

/// Global name: "parameters/layers.0.attention.query.weight", "adam_m/...", "adam_v/...". A name is segments of
/// [A-Za-z0-9_.-] joined by '/'.
struct GlobalTensor {
  std::string name;
  DType dtype = DType::kFloat32;
  std::vector<std::int64_t> shape;
};

/// Dense, row-major contents of `box`. The memory belongs to the caller.
struct PieceToSave {
  GlobalTensor tensor;
  parallel::Box box;
  std::span<const float> values;
};

struct PieceToLoad {
  GlobalTensor tensor;
  parallel::Box box;
  std::span<float> values;
};

}  // namespace stoa::checkpoint

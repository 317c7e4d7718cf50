#pragma once
/// How two checkpoints differ, tensor by tensor, whatever their layouts. Holds a box of each at a time.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace stoa::checkpoint {

struct TensorDifference {
  enum class Kind { kSame, kOnlyFirst, kOnlySecond, kOtherShape, kOtherValues };
  std::string name;
  Kind kind = Kind::kSame;
  std::string shapes;  ///< "[33, 65]", or "[33, 65] and [33, 66]"
  std::int64_t elements = 0;
  // Of kOtherValues. Values are compared by their bits: a NaN is like itself, and -0 is not 0.
  std::int64_t different = 0;
  double largest = 0;               ///< of the absolute differences; infinite where one is no number
  std::vector<std::int64_t> where;  ///< the index of the largest one
  double relative = 0;              ///< L2 norm of the difference over that of the first
};

/// Calls `each` for every tensor of either, by name. CheckpointError where one is not whole, StorageError.
void compare_checkpoints(const std::filesystem::path& first, const std::filesystem::path& second,
                         const std::function<void(const TensorDifference&)>& each);

}  // namespace stoa::checkpoint

#pragma once
/// How tensors and boxes stand in Stoa's own JSON, and the limits that a reader holds before it believes a number.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/json.h"
#include "stoa/checkpoint/tensor_piece.h"

namespace stoa::checkpoint {

inline constexpr std::size_t kMostDims = 8;
/// Of one tensor: far beyond any model, and its bytes still fit an int64.
inline constexpr std::int64_t kMostElements = std::int64_t{1} << 56;

std::string_view dtype_name(DType dtype);
std::int64_t dtype_bytes(DType dtype);

/// Why this is not a tensor that a checkpoint can hold ("has an empty dim"); empty where it is one.
std::string tensor_defect(const GlobalTensor& tensor);
/// Why `box` is not a box of `tensor`; empty where it is one. A box may be empty.
std::string box_defect(const parallel::Box& box, const GlobalTensor& tensor);

/// REQUIRES: tensor_defect(tensor) is empty.
std::int64_t tensor_elements(const GlobalTensor& tensor);

/// "[33, 65]"
std::string describe_shape(const std::vector<std::int64_t>& shape);
/// "[0:33, 32:65]": begin and end along each dim.
std::string describe_box(const parallel::Box& box);

/// {"<name_key>": ..., "dtype": "float32", "shape": [...]}
Json tensor_to_json(const GlobalTensor& tensor, const char* name_key);
/// DataError where a key is missing or the tensor has a defect.
GlobalTensor tensor_from_json(const Json& object, const char* name_key, std::string_view place);
/// Adds "begin" and "size".
void add_box(Json& object, const parallel::Box& box);
parallel::Box box_from_json(const Json& object, const GlobalTensor& tensor, std::string_view place);

}  // namespace stoa::checkpoint

#include "stoa/checkpoint/tensor_json.h"

#include <fmt/ranges.h>

#include "stoa/base/error.h"

namespace stoa::checkpoint {
namespace {

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '-';
}

bool is_segment(std::string_view segment) {
  // "." and ".." mean other groups to HDF5.
  if (segment.empty() || segment == "." || segment == "..") return false;
  for (const char c : segment)
    if (!is_name_character(c)) return false;
  return true;
}

bool is_tensor_name(std::string_view name) {
  for (;;) {
    const std::size_t slash = name.find('/');
    if (!is_segment(name.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    name.remove_prefix(slash + 1);
  }
}

DType parse_dtype(const std::string& name, std::string_view place) {
  if (name == dtype_name(DType::kFloat32)) return DType::kFloat32;
  throw DataError("{}: dtype '{}' is not known to this Stoa (it knows float32)", place, name);
}

}  // namespace

std::string_view dtype_name(DType) { return "float32"; }
std::int64_t dtype_bytes(DType) { return 4; }

std::string tensor_defect(const GlobalTensor& tensor) {
  if (tensor.name.size() > 512 || !is_tensor_name(tensor.name))
    return "its name is not made of segments of A-Z a-z 0-9 _ . - joined by '/'";
  if (tensor.shape.size() > kMostDims) return fmt::format("it has {} dims, {} at most", tensor.shape.size(), kMostDims);
  std::int64_t elements = 1;
  for (const std::int64_t extent : tensor.shape) {
    if (extent <= 0) return fmt::format("its shape {} has an empty dim", describe_shape(tensor.shape));
    if (extent > kMostElements / elements)
      return fmt::format("its shape {} is too large", describe_shape(tensor.shape));
    elements *= extent;
  }
  return {};
}

std::string box_defect(const parallel::Box& box, const GlobalTensor& tensor) {
  const std::size_t dims = tensor.shape.size();
  bool inside = box.begin.size() == dims && box.size.size() == dims;
  for (std::size_t d = 0; inside && d < dims; ++d)
    inside = box.begin[d] >= 0 && box.size[d] >= 0 && box.begin[d] <= tensor.shape[d] &&
             box.size[d] <= tensor.shape[d] - box.begin[d];
  if (inside) return {};
  return fmt::format("a box with begin {} and size {} is not inside its shape {}", describe_shape(box.begin),
                     describe_shape(box.size), describe_shape(tensor.shape));
}

std::int64_t tensor_elements(const GlobalTensor& tensor) {
  std::int64_t elements = 1;
  for (const std::int64_t extent : tensor.shape) elements *= extent;
  return elements;
}

std::string describe_shape(const std::vector<std::int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

std::string describe_box(const parallel::Box& box) {
  std::string text = "[";
  for (std::size_t d = 0; d < box.begin.size(); ++d)
    text += fmt::format("{}{}:{}", d == 0 ? "" : ", ", box.begin[d], box.begin[d] + box.size[d]);
  return text + "]";
}

Json tensor_to_json(const GlobalTensor& tensor, const char* name_key) {
  Json object;
  object[name_key] = tensor.name;
  object["dtype"] = dtype_name(tensor.dtype);
  object["shape"] = tensor.shape;
  return object;
}

GlobalTensor tensor_from_json(const Json& object, const char* name_key, std::string_view place) {
  GlobalTensor tensor;
  tensor.name = json_field<std::string>(object, name_key, place);
  tensor.dtype = parse_dtype(json_field<std::string>(object, "dtype", place), place);
  tensor.shape = json_field<std::vector<std::int64_t>>(object, "shape", place);
  if (const std::string defect = tensor_defect(tensor); !defect.empty())
    throw DataError("{}: tensor '{}': {}", place, tensor.name.substr(0, 512), defect);
  return tensor;
}

void add_box(Json& object, const parallel::Box& box) {
  object["begin"] = box.begin;
  object["size"] = box.size;
}

parallel::Box box_from_json(const Json& object, const GlobalTensor& tensor, std::string_view place) {
  parallel::Box box{json_field<std::vector<std::int64_t>>(object, "begin", place),
                    json_field<std::vector<std::int64_t>>(object, "size", place)};
  if (const std::string defect = box_defect(box, tensor); !defect.empty())
    throw DataError("{}: tensor '{}': {}", place, tensor.name, defect);
  return box;
}

}  // namespace stoa::checkpoint

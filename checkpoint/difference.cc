#include "stoa/checkpoint/difference.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <map>

#include "stoa/checkpoint/checkpoint_reader.h"
#include "stoa/checkpoint/tensor_json.h"

namespace stoa::checkpoint {
namespace {

/// Of a box that is read at once, unless one row has more.
constexpr std::int64_t kBoxElements = std::int64_t{4} << 20;

std::map<std::string, GlobalTensor> by_name(const Manifest& manifest) {
  std::map<std::string, GlobalTensor> tensors;
  for (const GlobalTensor& tensor : manifest.tensors) tensors.emplace(tensor.name, tensor);
  return tensors;
}

/// Rows of a tensor, all of it one after the other.
std::vector<parallel::Box> boxes_of(const GlobalTensor& tensor) {
  if (tensor.shape.empty()) return {parallel::whole_box(tensor.shape)};
  const std::int64_t row = tensor_elements(tensor) / tensor.shape[0];
  const std::int64_t most = std::max<std::int64_t>(1, kBoxElements / row);
  std::vector<parallel::Box> boxes;
  for (std::int64_t begin = 0; begin < tensor.shape[0]; begin += most) {
    parallel::Box box = parallel::whole_box(tensor.shape);
    box.begin[0] = begin;
    box.size[0] = std::min(most, tensor.shape[0] - begin);
    boxes.push_back(std::move(box));
  }
  return boxes;
}

std::vector<std::int64_t> index_of(std::int64_t element, const std::vector<std::int64_t>& shape) {
  std::vector<std::int64_t> index(shape.size());
  for (std::size_t d = shape.size(); d > 0; --d) {
    index[d - 1] = element % shape[d - 1];
    element /= shape[d - 1];
  }
  return index;
}

/// Sums over the elements of one tensor, in order.
class Sums {
 public:
  void add(float a, float b) {
    const double first = a, difference = first - double(b);
    first_squares_ += first * first;
    if (std::bit_cast<std::uint32_t>(a) != std::bit_cast<std::uint32_t>(b)) {
      ++different_;
      difference_squares_ += difference * difference;
      const double size = std::isnan(difference) ? std::numeric_limits<double>::infinity() : std::abs(difference);
      if (where_ < 0 || size > largest_) {
        largest_ = size;
        where_ = element_;
      }
    }
    ++element_;
  }

  void write_to(TensorDifference& result, const std::vector<std::int64_t>& shape) const {
    if (different_ == 0) return;
    result.kind = TensorDifference::Kind::kOtherValues;
    result.different = different_;
    result.largest = largest_;
    result.where = index_of(where_, shape);
    result.relative = std::sqrt(difference_squares_ / first_squares_);
  }

 private:
  std::int64_t element_ = 0, different_ = 0, where_ = -1;
  double largest_ = 0, first_squares_ = 0, difference_squares_ = 0;
};

void compare_values(CheckpointReader& first, CheckpointReader& second, const GlobalTensor& tensor,
                    TensorDifference& result) {
  Sums sums;
  std::vector<float> a, b;
  for (const parallel::Box& box : boxes_of(tensor)) {
    a.resize(static_cast<std::size_t>(box.elements()));
    b.resize(a.size());
    first.read({tensor, box, a});
    second.read({tensor, box, b});
    for (std::size_t i = 0; i < a.size(); ++i) sums.add(a[i], b[i]);
  }
  sums.write_to(result, tensor.shape);
}

}  // namespace

void compare_checkpoints(const std::filesystem::path& first, const std::filesystem::path& second,
                         const std::function<void(const TensorDifference&)>& each) {
  CheckpointReader a(first), b(second);
  const auto in_a = by_name(a.manifest()), in_b = by_name(b.manifest());
  std::map<std::string, GlobalTensor> all = in_a;
  all.insert(in_b.begin(), in_b.end());
  for (const auto& [name, tensor] : all) {
    TensorDifference result{.name = name, .shapes = describe_shape(tensor.shape), .elements = tensor_elements(tensor)};
    const auto at_a = in_a.find(name), at_b = in_b.find(name);
    if (at_b == in_b.end()) {
      result.kind = TensorDifference::Kind::kOnlyFirst;
    } else if (at_a == in_a.end()) {
      result.kind = TensorDifference::Kind::kOnlySecond;
    } else if (at_a->second.shape != at_b->second.shape) {
      result.kind = TensorDifference::Kind::kOtherShape;
      result.shapes += " and " + describe_shape(at_b->second.shape);
    } else {
      compare_values(a, b, tensor, result);
    }
    each(result);
  }
}

}  // namespace stoa::checkpoint

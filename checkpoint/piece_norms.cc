#include "stoa/checkpoint/piece_norms.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <map>

#include "stoa/base/json.h"
#include "stoa/checkpoint/tensor_json.h"

namespace stoa::checkpoint {
namespace {

/// Sums of the same 10^9 squares in other orders differ by some 10^-12 of their value.
constexpr double kTolerance = 1e-9;

struct LoadedTensor {
  std::map<std::string, double> squares;  ///< by box
  std::int64_t elements = 0;
};

using LoadedTensors = std::map<std::string, LoadedTensor, std::less<>>;

std::string add_loaded(LoadedTensors& tensors, const Json& object) {
  const GlobalTensor tensor = tensor_from_json(object, "tensor", "loaded pieces");
  const parallel::Box box = box_from_json(object, tensor, "loaded pieces");
  const double squares = object.at("squares").get<double>();
  LoadedTensor& loaded = tensors[tensor.name];
  const auto [at, is_new] = loaded.squares.emplace(describe_box(box), squares);
  if (is_new) loaded.elements += box.elements();
  if (at->second == squares) return "";
  return fmt::format("tensor {}: two ranks loaded other values into box {}", tensor.name, at->first);
}

}  // namespace

double sum_of_squares(std::span<const float> values) {
  std::array<double, 8> sums{};
  std::size_t i = 0;
  for (; i + sums.size() <= values.size(); i += sums.size())
    for (std::size_t lane = 0; lane < sums.size(); ++lane) {
      const double value = values[i + lane];
      sums[lane] += value * value;
    }
  for (; i < values.size(); ++i) sums[0] += double(values[i]) * double(values[i]);
  double all = 0;
  for (const double sum : sums) all += sum;
  return all;
}

std::vector<double> norms_of(const SavePlan& plan, std::span<const double> squares) {
  std::map<std::string_view, double> sums;
  for (std::size_t i = 0; i < plan.sources.size(); ++i) sums[plan.sources[i].piece.tensor.name] += squares[i];
  std::vector<double> norms;
  for (const GlobalTensor& tensor : plan.tensors) {
    const double norm = std::sqrt(sums.at(tensor.name));
    norms.push_back(std::isfinite(norm) ? norm : std::numeric_limits<double>::quiet_NaN());
  }
  return norms;
}

std::string describe_loaded(std::span<const PieceToLoad> pieces, std::span<const double> squares) {
  Json array = Json::array();
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (pieces[i].box.elements() == 0) continue;
    Json object = tensor_to_json(pieces[i].tensor, "tensor");
    add_box(object, pieces[i].box);
    object["squares"] = std::isfinite(squares[i]) ? squares[i] : -1;
    array.push_back(std::move(object));
  }
  return array.dump();
}

std::string norm_defect(const Manifest& manifest, std::span<const std::string> loaded) {
  LoadedTensors tensors;
  for (const std::string& text : loaded)
    for (const Json& object : parse_json(text, "loaded pieces"))
      if (std::string defect = add_loaded(tensors, object); !defect.empty()) return defect;
  for (std::size_t i = 0; i < manifest.tensors.size(); ++i) {
    if (std::isnan(manifest.norms[i])) continue;
    const auto found = tensors.find(manifest.tensors[i].name);
    if (found == tensors.end() || found->second.elements != tensor_elements(manifest.tensors[i])) continue;
    double squares = 0;
    for (const auto& [box, sum] : found->second.squares) squares += sum;
    const double norm = std::sqrt(squares);
    if (!(std::abs(norm - manifest.norms[i]) <= kTolerance * manifest.norms[i]))
      return fmt::format("tensor {}: its norm after loading is {}, but the manifest says {}", found->first, norm,
                         manifest.norms[i]);
  }
  return "";
}

}  // namespace stoa::checkpoint

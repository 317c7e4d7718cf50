#include "stoa/trainer/optimizer/partial_gradients.h"

#include <algorithm>

namespace stoa::trainer {

using parallel::Slice;

// Slices with copies are of one head each, so they have one size.
std::vector<PartialGradients::Place> PartialGradients::places_of(const ParameterTable& table, const FlatRanges& owned,
                                                                 std::int64_t& elements) {
  std::vector<Place> places;
  const int ranks = table.share.tensor_parts;
  for (const Parameter& parameter : table.parameters) {
    if (parameter.gradient.kind != parallel::PlacementKind::kPartial) continue;
    const bool whole = parameter.placement.kind == parallel::PlacementKind::kReplicated;
    const int copies = whole ? ranks : parameter.placement.copies;
    const int slices = ranks / copies, slice = table.share.tensor_index / copies;
    for (const Slice& run : within(owned, {parameter.offset, parameter.offset + parameter.elements})) {
      places.push_back({run, elements + slice * run.size()});
      elements += slices * run.size();
    }
  }
  return places;
}

PartialGradients::PartialGradients(const ParameterTable& table, const FlatRanges& owned, parallel::Communicator& tensor)
    : tensor_(tensor), places_(places_of(table, owned, elements_)) {
  if (elements_ > 0) memory_ = tensor.allocate(std::size_t(elements_) * sizeof(float), "partial gradients");
}

std::size_t PartialGradients::memory_bytes(const ParameterTable& table, const FlatRanges& owned) {
  std::int64_t elements = 0;
  places_of(table, owned, elements);
  return std::size_t(elements) * sizeof(float);
}

void PartialGradients::sum(std::span<float> gradients) {
  if (elements_ == 0) return;
  const std::span<float> buffer(reinterpret_cast<float*>(memory_->bytes().data()), std::size_t(elements_));
  std::fill(buffer.begin(), buffer.end(), 0.0F);
  for (const Place& place : places_)
    std::copy_n(gradients.begin() + place.run.begin, place.run.size(), buffer.begin() + place.at);
  tensor_.all_reduce(buffer, parallel::ReduceOp::kSum, "partial gradients");
  for (const Place& place : places_)
    std::copy_n(buffer.begin() + place.at, place.run.size(), gradients.begin() + place.run.begin);
}

}  // namespace stoa::trainer

#include "stoa/trainer/optimizer/flat_ranges.h"

#include <algorithm>

namespace stoa::trainer {

using parallel::Slice;

FlatRanges united(std::vector<Slice> slices) {
  std::sort(slices.begin(), slices.end(), [](const Slice& a, const Slice& b) { return a.begin < b.begin; });
  FlatRanges ranges;
  for (const Slice& slice : slices) {
    if (slice.size() <= 0) continue;
    if (!ranges.empty() && slice.begin <= ranges.back().end)
      ranges.back().end = std::max(ranges.back().end, slice.end);
    else
      ranges.push_back(slice);
  }
  return ranges;
}

FlatRanges intersection(const FlatRanges& a, const FlatRanges& b) {
  FlatRanges shared;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const Slice both{std::max(a[i].begin, b[j].begin), std::min(a[i].end, b[j].end)};
    if (both.size() > 0) shared.push_back(both);
    if (a[i].end < b[j].end)
      ++i;
    else
      ++j;
  }
  return shared;
}

FlatRanges within(const FlatRanges& ranges, const Slice& slice) {
  const auto first =
      std::partition_point(ranges.begin(), ranges.end(), [&](const Slice& range) { return range.end <= slice.begin; });
  FlatRanges shared;
  for (auto range = first; range != ranges.end() && range->begin < slice.end; ++range)
    shared.push_back({std::max(range->begin, slice.begin), std::min(range->end, slice.end)});
  return shared;
}

std::int64_t elements_of(const FlatRanges& ranges) {
  std::int64_t elements = 0;
  for (const Slice& range : ranges) elements += range.size();
  return elements;
}

FlatRanges in_bytes(const FlatRanges& ranges, std::size_t element_bytes) {
  const auto bytes = std::int64_t(element_bytes);
  FlatRanges scaled;
  for (const Slice& range : ranges) scaled.push_back({range.begin * bytes, range.end * bytes});
  return scaled;
}

}  // namespace stoa::trainer

#pragma once
/// Sets of elements of a flat buffer. Pure.
#include <cstdint>
#include <vector>

#include "stoa/parallel/shard.h"

namespace stoa::trainer {

/// Slices in ascending order, none empty, no two that touch.
using FlatRanges = std::vector<parallel::Slice>;

/// Of slices in any order, which may overlap and be empty.
FlatRanges united(std::vector<parallel::Slice> slices);
FlatRanges intersection(const FlatRanges& a, const FlatRanges& b);
/// What the ranges and one slice share.
FlatRanges within(const FlatRanges& ranges, const parallel::Slice& slice);
std::int64_t elements_of(const FlatRanges& ranges);
/// The same set, counted in bytes.
FlatRanges in_bytes(const FlatRanges& ranges, std::size_t element_bytes);

}  // namespace stoa::trainer

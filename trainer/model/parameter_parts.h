#pragma once
/// Which parts of which global tensors lie in given ranges of a rank's flat buffers: one arithmetic for what a
/// checkpoint saves and loads and for where initial weights go. Ranges are slices of flat offsets, ascending and apart;
/// they may cover padding, of which no part comes. Pure.
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "stoa/parallel/shard.h"
#include "stoa/trainer/model/parameter_table.h"

namespace stoa::trainer {

/// Elements of a parameter that lie together in a flat buffer and are a box of its global tensor, row-major.
struct ParameterPart {
  std::size_t parameter = 0;  ///< index in table.parameters
  parallel::Box box;          ///< of the global tensor
  std::int64_t offset = 0;    ///< of its first element
};

/// The parts in `ranges`, by ascending offset: a range of a box [R, C] is three at most, the end of a first row, whole
/// rows and the beginning of a last one. InternalError where the buffer has not table.elements and where ranges are not
/// ascending inside it.
std::vector<ParameterPart> parameter_parts(const ParameterTable& table, std::span<const parallel::Slice> ranges,
                                           std::size_t buffer_elements);

/// The whole of the flat buffers as one range.
parallel::Slice whole_range(const ParameterTable& table);

/// What rank `index` of `parts` that hold the same values takes care of: the balanced slice of each parameter's rows
/// here. Together the ranks' ranges hold each parameter once.
std::vector<parallel::Slice> row_ranges(const ParameterTable& table, int parts, int index);

}  // namespace stoa::trainer

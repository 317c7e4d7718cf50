#include "stoa/trainer/model/parameter_parts.h"

#include <algorithm>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

using parallel::Box;
using parallel::Slice;

std::int64_t row_elements(const Parameter& parameter) {
  return parameter.shape.size() == 1 ? 1 : parameter.box.size.back();
}

void check_ranges(const ParameterTable& table, std::span<const Slice> ranges, std::size_t buffer_elements) {
  if (buffer_elements != static_cast<std::size_t>(table.elements))
    throw InternalError("a buffer has {} elements, the model's table {}", buffer_elements, table.elements);
  std::int64_t end = 0;
  for (const Slice& range : ranges) {
    if (range.begin < end || range.end < range.begin || range.end > table.elements)
      throw InternalError("range {} to {} is not behind {} and inside the {} elements of the model's table",
                          range.begin, range.end, end, table.elements);
    end = range.end;
  }
}

/// Rows `rows` and columns `columns` of what is here, as a box of the global tensor.
Box global_box(const Parameter& parameter, const Slice& rows, const Slice& columns) {
  Box box = parameter.box;
  box.begin[0] += rows.begin;
  box.size[0] = rows.size();
  if (parameter.shape.size() == 1) return box;
  box.begin[1] += columns.begin;
  box.size[1] = columns.size();
  return box;
}

/// Elements `local` of what is here of parameter `number`.
void add_boxes(const Parameter& parameter, std::size_t number, const Slice& local, std::vector<ParameterPart>& parts) {
  const std::int64_t columns = row_elements(parameter);
  for (std::int64_t at = local.begin, end = at; at < local.end; at = end) {
    const std::int64_t row = at / columns, column = at % columns, whole_rows = (local.end - at) / columns;
    const bool rows = column == 0 && whole_rows > 0;
    end = rows ? at + whole_rows * columns : std::min(local.end, (row + 1) * columns);
    const Box box = rows ? global_box(parameter, {row, row + whole_rows}, {0, columns})
                         : global_box(parameter, {row, row + 1}, {column, column + end - at});
    parts.push_back({number, box, parameter.offset + at});
  }
}

}  // namespace

std::vector<ParameterPart> parameter_parts(const ParameterTable& table, std::span<const Slice> ranges,
                                           std::size_t buffer_elements) {
  check_ranges(table, ranges, buffer_elements);
  std::vector<ParameterPart> parts;
  std::size_t first = 0;
  for (std::size_t number = 0; number < table.parameters.size(); ++number) {
    const Parameter& parameter = table.parameters[number];
    const std::int64_t end = parameter.offset + parameter.elements;
    while (first < ranges.size() && ranges[first].end <= parameter.offset) ++first;
    for (std::size_t i = first; i < ranges.size() && ranges[i].begin < end; ++i)
      add_boxes(parameter, number,
                {std::max(ranges[i].begin, parameter.offset) - parameter.offset,
                 std::min(ranges[i].end, end) - parameter.offset},
                parts);
  }
  return parts;
}

parallel::Slice whole_range(const ParameterTable& table) { return {0, table.elements}; }

std::vector<parallel::Slice> row_ranges(const ParameterTable& table, int parts, int index) {
  std::vector<Slice> ranges;
  for (const Parameter& parameter : table.parameters) {
    const Slice rows = parallel::balanced_slice(parameter.box.size[0], parts, index);
    if (rows.size() == 0) continue;
    const std::int64_t columns = row_elements(parameter);
    ranges.push_back({parameter.offset + rows.begin * columns, parameter.offset + rows.end * columns});
  }
  return ranges;
}

}  // namespace stoa::trainer

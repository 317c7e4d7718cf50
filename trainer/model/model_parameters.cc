#include "stoa/trainer/model/model_parameters.h"

#include <algorithm>

#include "stoa/trainer/kernels/elementwise.h"

namespace stoa::trainer {
namespace {

using parallel::Slice;

FlatRanges blocks_with_products(const ParameterTable& table) {
  std::vector<Slice> ranges;
  for (const ParameterBlock& block : table.blocks)
    if (block.narrow_begin < block.end) ranges.push_back({block.begin, block.end});
  return within(united(std::move(ranges)), {0, table.elements});
}

ParameterRanges everything(const ParameterTable& table, Precision precision) {
  const FlatRanges all = united({{0, table.elements}});
  return {all, precision == Precision::kBf16 ? all : FlatRanges()};
}

PageBuffer buffer_for(const FlatRanges& ranges, std::size_t elements, std::size_t element_bytes) {
  return {ranges.empty() ? 0 : elements * element_bytes, in_bytes(ranges, element_bytes)};
}

}  // namespace

FlatRanges wide_ranges(const ParameterTable& table) {
  std::vector<Slice> ranges;
  for (const ParameterBlock& block : table.blocks) ranges.push_back({block.begin, block.wide_end});
  return within(united(std::move(ranges)), {0, table.elements});
}

ParameterRanges needed_parameters(const ParameterTable& table, Precision precision, const FlatRanges& owned) {
  if (precision == Precision::kFp32) return everything(table, precision);
  std::vector<Slice> masters = wide_ranges(table);
  masters.insert(masters.end(), owned.begin(), owned.end());
  return {united(std::move(masters)), blocks_with_products(table)};
}

ModelParameters::ModelParameters(const ParameterTable& table, Precision precision)
    : ModelParameters(table, everything(table, precision)) {}

ModelParameters::ModelParameters(const ParameterTable& table, const ParameterRanges& ranges)
    : elements_(std::size_t(table.elements)),
      has_copies_(!ranges.copies.empty()),
      ranges_(ranges),
      masters_(buffer_for(ranges.masters, elements_, sizeof(float))),
      copies_(buffer_for(ranges.copies, elements_, sizeof(bf16))) {}

std::size_t ModelParameters::masters_bytes(const ParameterRanges& ranges) {
  return committed_bytes(in_bytes(ranges.masters, sizeof(float)));
}

std::size_t ModelParameters::copies_bytes(const ParameterRanges& ranges) {
  return committed_bytes(in_bytes(ranges.copies, sizeof(bf16)));
}

void ModelParameters::refresh_copies(cpu::Queue& queue) { refresh_copies(queue, ranges_.masters); }

void ModelParameters::refresh_copies(cpu::Queue& queue, const FlatRanges& written) {
  for (const Slice& range : intersection(written, ranges_.copies)) {
    const auto begin = std::size_t(range.begin), size = std::size_t(range.size());
    cast(queue, std::span<const float>(masters()).subspan(begin, size), copies().subspan(begin, size));
  }
}

}  // namespace stoa::trainer

#pragma once
/// The parameters that one rank holds.
#include <span>
#include <type_traits>

#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/model/memory_plan.h"
#include "stoa/trainer/model/parameter_table.h"
#include "stoa/trainer/optimizer/flat_ranges.h"

namespace stoa::trainer {

/// Which elements a rank has memory for, of the table's flat offsets.
struct ParameterRanges {
  FlatRanges masters;
  FlatRanges copies;  ///< none in fp32
};

/// What the passes read, and `owned`, which this rank updates. In bf16 masters are read where a block is wide, copies
/// where a block has matrices for products; in fp32 masters are read everywhere.
ParameterRanges needed_parameters(const ParameterTable& table, Precision precision, const FlatRanges& owned);
/// The blocks' [begin, wide_end).
FlatRanges wide_ranges(const ParameterTable& table);

/// fp32 masters and, for bf16, the copy used in products. Offsets are the table's; the padding between stays zero.
class ModelParameters {
 public:
  /// Memory for everything.
  ModelParameters(const ParameterTable& table, Precision precision);
  /// Memory for these ranges: nothing else is touched.
  ModelParameters(const ParameterTable& table, const ParameterRanges& ranges);

  /// Bytes that the second constructor's memory takes once it is in use.
  static std::size_t masters_bytes(const ParameterRanges& ranges);
  static std::size_t copies_bytes(const ParameterRanges& ranges);

  std::span<float> masters() { return masters_.as<float>().first(elements_); }
  std::span<const float> masters() const { return masters_.as<float>().first(elements_); }
  /// Empty in fp32.
  std::span<bf16> copies() { return copies_.as<bf16>().first(has_copies_ ? elements_ : 0); }
  std::span<const bf16> copies() const { return copies_.as<bf16>().first(has_copies_ ? elements_ : 0); }
  const ParameterRanges& ranges() const { return ranges_; }

  /// Weights for products in type T.
  template <typename T>
  std::span<const T> products() const {
    if constexpr (std::is_same_v<T, float>)
      return masters();
    else
      return copies();
  }

  /// After the masters were written by other means than the optimizer: everywhere, or in some ranges.
  void refresh_copies(cpu::Queue& queue);
  void refresh_copies(cpu::Queue& queue, const FlatRanges& written);

 private:
  std::size_t elements_;
  bool has_copies_;
  ParameterRanges ranges_;
  PageBuffer masters_;
  PageBuffer copies_;
};

}  // namespace stoa::trainer

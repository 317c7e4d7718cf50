#pragma once
/// The parameters that one rank holds.
#include <span>
#include <type_traits>

#include "stoa/trainer/kernels/bf16.h"
#include "stoa/trainer/kernels/cpu_queue.h"
#include "stoa/trainer/model/memory_plan.h"
#include "stoa/trainer/model/parameter_table.h"

namespace stoa::trainer {

/// fp32 masters and, for bf16, the copy used in products. Offsets are the table's; the padding between stays zero.
class ModelParameters {
 public:
  ModelParameters(const ParameterTable& table, Precision precision);

  std::span<float> masters() { return masters_.as<float>().first(elements_); }
  std::span<const float> masters() const { return masters_.as<float>().first(elements_); }
  /// Empty in fp32.
  std::span<bf16> copies() { return copies_.as<bf16>().first(has_copies_ ? elements_ : 0); }
  std::span<const bf16> copies() const { return copies_.as<bf16>().first(has_copies_ ? elements_ : 0); }

  /// Weights for products in type T.
  template <typename T>
  std::span<const T> products() const {
    if constexpr (std::is_same_v<T, float>)
      return masters();
    else
      return copies();
  }

  /// After the masters were written by other means than the optimizer.
  void refresh_copies(cpu::Queue& queue);

 private:
  std::size_t elements_;
  bool has_copies_;
  PageBuffer masters_;
  PageBuffer copies_;
};

}  // namespace stoa::trainer

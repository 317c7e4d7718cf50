#include "stoa/trainer/model/model_parameters.h"

#include "stoa/trainer/kernels/elementwise.h"

namespace stoa::trainer {

ModelParameters::ModelParameters(const ParameterTable& table, Precision precision)
    : elements_(std::size_t(table.elements)),
      has_copies_(precision == Precision::kBf16),
      masters_(elements_ * sizeof(float)),
      copies_(has_copies_ ? elements_ * sizeof(bf16) : 0) {}

void ModelParameters::refresh_copies(cpu::Queue& queue) {
  if (has_copies_) cast(queue, std::span<const float>(masters()), copies());
}

}  // namespace stoa::trainer

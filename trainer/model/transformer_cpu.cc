#include "stoa/trainer/model/transformer_backward.h"
#include "stoa/trainer/model/transformer_forward.h"

namespace stoa::trainer {

template class Transformer<cpu::Queue, float>;
template class Transformer<cpu::Queue, bf16>;

std::unique_ptr<Model> make_model(cpu::Queue& queue, const ParameterTable& table, const ModelParameters& parameters,
                                  Precision precision, const ModelShape& shape) {
  if (precision == Precision::kFp32)
    return std::make_unique<Transformer<cpu::Queue, float>>(queue, table, parameters, shape);
  return std::make_unique<Transformer<cpu::Queue, bf16>>(queue, table, parameters, shape);
}

}  // namespace stoa::trainer

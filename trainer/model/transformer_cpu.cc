#include "stoa/trainer/model/transformer_backward.h"
#include "stoa/trainer/model/transformer_forward.h"
#include "stoa/trainer/model/transformer_loss.h"
#include "stoa/trainer/model/transformer_weights.h"

namespace stoa::trainer {

template class Transformer<cpu::Queue, float>;
template class Transformer<cpu::Queue, bf16>;

std::unique_ptr<Model> make_model(cpu::Queue& queue, ModelParts parts) {
  if (parts.precision == Precision::kFp32)
    return std::make_unique<Transformer<cpu::Queue, float>>(queue, std::move(parts));
  return std::make_unique<Transformer<cpu::Queue, bf16>>(queue, std::move(parts));
}

std::unique_ptr<Model> make_model(cpu::Queue& queue, const ParameterTable& table, const ModelParameters& parameters,
                                  Precision precision, const ModelShape& shape) {
  return make_model(queue,
                    ModelParts{.table = table, .parameters = parameters, .precision = precision, .shape = shape});
}

}  // namespace stoa::trainer

#include "stoa/trainer/model/generator.h"

namespace stoa::trainer {

template class CachedGenerator<cpu::Queue, float>;
template class CachedGenerator<cpu::Queue, bf16>;

std::unique_ptr<Generator> make_generator(cpu::Queue& queue, const ParameterTable& table,
                                          const ModelParameters& parameters, Precision precision) {
  if (precision == Precision::kFp32)
    return std::make_unique<CachedGenerator<cpu::Queue, float>>(queue, table, parameters);
  return std::make_unique<CachedGenerator<cpu::Queue, bf16>>(queue, table, parameters);
}

MemoryTable plan_generation_memory(const ParameterTable& table, Precision precision) {
  MemoryTable memory;
  Carver carver(MemoryKind::kActivations, &memory);
  if (precision == Precision::kFp32)
    carve_generator<float>(carver, table);
  else
    carve_generator<bf16>(carver, table);
  return memory;
}

}  // namespace stoa::trainer

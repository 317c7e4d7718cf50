#include "stoa/trainer/model/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "stoa/trainer/model/transformer_buffers.h"

namespace stoa::trainer {
namespace {

/// One line a name: the parts of all layers with the same name are one.
MemoryTable merged(const MemoryTable& table) {
  MemoryTable short_table;
  std::map<std::string, std::size_t> at;
  std::map<std::string, int> count;
  for (const MemoryPart& part : table.parts) {
    const auto [found, fresh] = at.try_emplace(part.name, short_table.parts.size());
    if (fresh) short_table.parts.push_back({part.kind, part.name, 0});
    short_table.parts[found->second].size_bytes += part.size_bytes;
    ++count[part.name];
  }
  for (MemoryPart& part : short_table.parts)
    if (const int times = count[part.name]; times > 1) part.name += fmt::format(", {} layers", times);
  return short_table;
}

template <typename T>
void plan_transformer(const ParameterTable& table, const ModelShape& shape, int threads, MemoryTable& memory) {
  const TransformerSizes sizes(table, shape.samples);
  Carver activations(MemoryKind::kActivations, &memory);
  ActivationCarver<T>(activations, table, sizes, shape).carve();
  const int parts = table.share.tensor_parts;
  Carver exchanged(parts > 1 ? MemoryKind::kCommunication : MemoryKind::kWorkspace, &memory);
  Carver workspace(MemoryKind::kWorkspace, &memory);
  TransformerWorkspace<T> work;
  carve_exchanged<T>(exchanged, sizes, shape, parts, work);
  carve_workspace<T>(workspace, table, sizes, shape, threads, work);
}

}  // namespace

LossSums Model::train(const MicroBatch& batch, const LossScale& scale, std::span<float> gradients) {
  FlatSink sink(gradients);
  const ChunkPass pass{.batch = batch};
  forward(pass, {}, {});
  return backward(pass, scale, {}, {}, sink);
}

LossSums Model::evaluate(const MicroBatch& batch) { return evaluate(ChunkPass{.batch = batch}, {}, {}); }

void plan_model(const ParameterTable& table, Precision precision, const ModelShape& shape, int threads,
                MemoryTable& memory) {
  if (precision == Precision::kBf16)
    plan_transformer<bf16>(table, shape, threads, memory);
  else
    plan_transformer<float>(table, shape, threads, memory);
}

MemoryTable plan_memory(const ParameterTable& table, Precision precision, const ModelShape& shape, int threads,
                        std::int64_t gradient_buffers) {
  MemoryTable memory;
  const auto elements = std::size_t(table.elements);
  memory.parts.push_back({MemoryKind::kParameters, "fp32 masters", elements * sizeof(float)});
  if (precision == Precision::kBf16)
    memory.parts.push_back({MemoryKind::kParameters, "bf16 copies for products", elements * sizeof(bf16)});
  if (shape.use == ModelUse::kTraining) {
    memory.parts.push_back({MemoryKind::kGradients, fmt::format("fp32 gradients, {} buffers", gradient_buffers),
                            std::size_t(table.gradient_elements * gradient_buffers) * sizeof(float)});
    memory.parts.push_back({MemoryKind::kOptimizer, "AdamW moments m and v", 2 * elements * sizeof(float)});
  }
  plan_model(table, precision, shape, threads, memory);
  return merged(memory);
}

}  // namespace stoa::trainer

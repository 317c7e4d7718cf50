#include "stoa/trainer/model/model.h"

#include <algorithm>

#include "stoa/trainer/model/transformer_buffers.h"

namespace stoa::trainer {
namespace {

constexpr const char* kRounding = "rest of the last huge page";

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

  const auto add_rounding = [&](MemoryKind kind, std::size_t size_bytes) {
    memory.add(kind, kRounding, committed_bytes(size_bytes) - size_bytes);
  };
  const std::size_t exchange = exchanged.size_bytes();
  add_rounding(MemoryKind::kActivations, activations.size_bytes());
  add_rounding(MemoryKind::kWorkspace, workspace.size_bytes() + (parts > 1 ? 0 : exchange));
  if (parts > 1) memory.add(MemoryKind::kCommunication, kRounding, committed_group_bytes(exchange) - exchange);
  if (table.model.family == ModelFamily::kGpt2) return;
  const auto rope_floats = std::size_t(table.model.context_length * table.model.head_width);
  memory.add(MemoryKind::kWorkspace, "angles of positions", committed_bytes(rope_floats * sizeof(float)));
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

std::size_t widened_product_bytes(const ParameterTable& table, const ModelShape& shape) {
  const TransformerSizes sizes(table, shape.samples);
  const auto floats = [](std::int64_t rows, std::int64_t inputs, std::int64_t outputs) {
    return rows * inputs + inputs * outputs + rows * outputs;
  };
  std::int64_t most = table.share.holds_end ? floats(sizes.loss_rows, sizes.width, sizes.vocabulary) : 0;
  for (const std::int64_t other : {sizes.columns, sizes.query, sizes.feed_forward_in, sizes.feed_forward})
    most = std::max(most, floats(sizes.tokens, sizes.width, other));
  return std::size_t(most) * sizeof(float);
}

}  // namespace stoa::trainer

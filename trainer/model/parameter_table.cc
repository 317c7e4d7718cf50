#include "stoa/trainer/model/parameter_table.h"

#include <fmt/format.h>

#include <numeric>
#include <utility>

namespace stoa::trainer {
namespace {

constexpr std::int64_t kAlignment = 64;  // elements: a cache line of the bf16 copy and more

using Shape = std::vector<std::int64_t>;

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

parallel::Placement sharded(int dim) { return {parallel::PlacementKind::kSharded, dim}; }
parallel::Placement replicated() { return {}; }

class TableBuilder {
 public:
  explicit TableBuilder(ParameterTable& table) : table_(table) {}

  /// Starts a parameter, or a fused group of them, at an aligned offset.
  std::int64_t align() { return table_.elements = round_up(table_.elements, kAlignment); }

  std::int64_t add(std::string name, Shape shape, Initializer initializer, parallel::Placement placement,
                   std::int64_t padded_rows = 0) {
    Parameter parameter;
    parameter.name = std::move(name);
    parameter.elements = std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>());
    parameter.offset = table_.elements;
    parameter.initializer = initializer;
    parameter.placement = placement;
    table_.elements += padded_rows > 0 ? parameter.elements / shape[0] * padded_rows : parameter.elements;
    parameter.shape = std::move(shape);
    table_.parameters.push_back(std::move(parameter));
    return table_.parameters.back().offset;
  }

 private:
  ParameterTable& table_;
};

void add_norm(TableBuilder& builder, const std::string& name, const ModelSettings& model, std::int64_t& weight,
              std::int64_t& bias) {
  builder.align();
  weight = builder.add(name + ".weight", {model.width}, Initializer::kOne, replicated());
  if (model.family == ModelFamily::kGpt2) {
    builder.align();
    bias = builder.add(name + ".bias", {model.width}, Initializer::kZero, replicated());
  }
}

struct Projection {
  const char* name;
  std::int64_t outputs;
};

/// A group of projections that read the same input: weights back to back, then (gpt2) biases back to back.
void add_group(TableBuilder& builder, const std::string& prefix, std::span<const Projection> projections,
               std::int64_t inputs, bool biased, std::int64_t& weight, std::int64_t& bias) {
  weight = builder.align();
  for (const Projection& projection : projections)
    builder.add(prefix + projection.name + ".weight", {projection.outputs, inputs}, Initializer::kNormal, sharded(0));
  if (!biased) return;
  bias = builder.align();
  for (const Projection& projection : projections)
    builder.add(prefix + projection.name + ".bias", {projection.outputs}, Initializer::kZero, sharded(0));
}

/// A projection back into the residual stream.
void add_residual(TableBuilder& builder, const std::string& name, std::int64_t outputs, std::int64_t inputs,
                  bool biased, std::int64_t& weight, std::int64_t& bias) {
  weight = builder.align();
  builder.add(name + ".weight", {outputs, inputs}, Initializer::kResidualNormal, sharded(1));
  if (!biased) return;
  bias = builder.align();
  builder.add(name + ".bias", {outputs}, Initializer::kZero, replicated());
}

LayerOffsets add_layer(TableBuilder& builder, const ModelSettings& model, std::int64_t number) {
  const std::string layer = fmt::format("layers.{}.", number);
  const bool gpt2 = model.family == ModelFamily::kGpt2;
  const std::int64_t query = model.heads * model.head_width;
  const std::int64_t key_value = model.key_value_heads * model.head_width;
  LayerOffsets at;
  add_norm(builder, layer + "attention_norm", model, at.attention_norm, at.attention_norm_bias);
  const Projection qkv[] = {{"query", query}, {"key", key_value}, {"value", key_value}};
  add_group(builder, layer + "attention.", qkv, model.width, gpt2, at.query_key_value, at.query_key_value_bias);
  if (model.query_key_norm) {
    builder.align();
    at.query_norm =
        builder.add(layer + "attention.query_norm.weight", {model.head_width}, Initializer::kOne, replicated());
    builder.align();
    at.key_norm = builder.add(layer + "attention.key_norm.weight", {model.head_width}, Initializer::kOne, replicated());
  }
  add_residual(builder, layer + "attention.output", model.width, query, gpt2, at.attention_output,
               at.attention_output_bias);
  add_norm(builder, layer + "feed_forward_norm", model, at.feed_forward_norm, at.feed_forward_norm_bias);
  const Projection gate_up[] = {{"gate", model.feed_forward_width}, {"up", model.feed_forward_width}};
  add_group(builder, layer + "feed_forward.", std::span(gate_up).subspan(gpt2 ? 1 : 0), model.width, gpt2,
            at.feed_forward_in, at.feed_forward_in_bias);
  add_residual(builder, layer + "feed_forward.down", model.width, model.feed_forward_width, gpt2, at.feed_forward_out,
               at.feed_forward_out_bias);
  return at;
}

}  // namespace

ParameterTable make_parameter_table(const ModelSettings& resolved_model) {
  const ModelSettings& model = resolved_model;
  ParameterTable table;
  table.model = model;
  table.padded_vocabulary = round_up(model.vocabulary_size, kVocabularyMultiple);
  TableBuilder builder(table);
  table.embedding = builder.add("embedding.weight", {model.vocabulary_size, model.width}, Initializer::kNormal,
                                sharded(0), table.padded_vocabulary);
  if (model.family == ModelFamily::kGpt2) {
    builder.align();
    table.positions =
        builder.add("positions.weight", {model.context_length, model.width}, Initializer::kNormal, replicated());
  }
  for (std::int64_t layer = 0; layer < model.layers; ++layer) table.layers.push_back(add_layer(builder, model, layer));
  add_norm(builder, "final_norm", model, table.final_norm, table.final_norm_bias);
  if (*model.tied_embedding) {
    table.head = table.embedding;
    table.head_gradient = builder.align();
    table.gradient_elements = table.elements + table.padded_vocabulary * model.width;
  } else {
    builder.align();
    table.head = builder.add("head.weight", {model.vocabulary_size, model.width}, Initializer::kNormal, sharded(0),
                             table.padded_vocabulary);
    table.head_gradient = table.head;
    builder.align();
    table.gradient_elements = table.elements;
  }
  return table;
}

}  // namespace stoa::trainer

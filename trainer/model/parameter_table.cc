#include "stoa/trainer/model/parameter_table.h"

#include <fmt/format.h>

#include <span>
#include <utility>

namespace stoa::trainer {
namespace {

constexpr std::int64_t kAlignment = 64;  // elements: a cache line of the bf16 copy and more

using Shape = std::vector<std::int64_t>;

std::int64_t round_up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

using parallel::Placement;
using parallel::PlacementKind;

Placement sharded(int dim, int copies = 1) { return {PlacementKind::kSharded, dim, copies}; }
Placement replicated() { return {}; }

class TableBuilder {
 public:
  explicit TableBuilder(ParameterTable& table) : table_(table) {}

  /// Starts a parameter, or a fused group of them, at an aligned offset.
  std::int64_t align() { return table_.elements = round_up(table_.elements, kAlignment); }

  std::size_t begin_block() {
    align();
    end_block();
    const std::int64_t at = table_.elements;
    table_.blocks.push_back({at, at, at, at});
    return table_.blocks.size() - 1;
  }
  /// What was added to the block so far is read in fp32, what follows as products' copies.
  void end_wide() {
    align();
    table_.blocks.back().wide_end = table_.blocks.back().narrow_begin = table_.elements;
  }
  void end_block() {
    align();
    if (!table_.blocks.empty()) table_.blocks.back().end = table_.elements;
  }
  void continue_at(std::size_t number) { number_ = number; }
  std::size_t number() const { return number_; }

  std::int64_t add(std::string name, Shape shape, Initializer initializer, Placement placement,
                   std::int64_t padded_rows = 0) {
    const ModelShare& share = table_.share;
    Parameter parameter;
    parameter.name = std::move(name);
    parameter.box = shard_box(shape, placement, share.tensor_parts, share.tensor_index);
    parameter.elements = parameter.box.elements();
    parameter.offset = table_.elements;
    parameter.initializer = initializer;
    parameter.placement = placement;
    const bool whole = placement.kind == PlacementKind::kReplicated;
    const bool partial = share.tensor_parts > 1 && (whole || placement.copies > 1);
    parameter.gradient = partial ? Placement{PlacementKind::kPartial, 0, placement.copies} : placement;
    parameter.counted_here = whole ? share.tensor_index == 0 : share.tensor_index % placement.copies == 0;
    parameter.block = table_.blocks.size() - 1;
    parameter.number = number_++;
    table_.elements += padded_rows > 0 ? padded_rows * shape.back() : parameter.elements;
    parameter.shape = std::move(shape);
    table_.parameters.push_back(std::move(parameter));
    return table_.parameters.back().offset;
  }

 private:
  ParameterTable& table_;
  std::size_t number_ = 0;
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
  int copies = 1;
};

/// Projections that read the same input, back to back: their weights, or their biases.
std::int64_t add_weights(TableBuilder& builder, const std::string& prefix, std::span<const Projection> projections,
                         std::int64_t inputs) {
  const std::int64_t first = builder.align();
  for (const Projection& projection : projections)
    builder.add(prefix + projection.name + ".weight", {projection.outputs, inputs}, Initializer::kNormal,
                sharded(0, projection.copies));
  return first;
}

std::int64_t add_biases(TableBuilder& builder, const std::string& prefix, std::span<const Projection> projections) {
  const std::int64_t first = builder.align();
  for (const Projection& projection : projections)
    builder.add(prefix + projection.name + ".bias", {projection.outputs}, Initializer::kZero,
                sharded(0, projection.copies));
  return first;
}

/// A projection back into the residual stream.
std::int64_t add_residual(TableBuilder& builder, const std::string& name, std::int64_t outputs, std::int64_t inputs) {
  const std::int64_t first = builder.align();
  builder.add(name + ".weight", {outputs, inputs}, Initializer::kResidualNormal, sharded(1));
  return first;
}

std::int64_t add_residual_bias(TableBuilder& builder, const std::string& name, std::int64_t outputs) {
  const std::int64_t first = builder.align();
  builder.add(name + ".bias", {outputs}, Initializer::kZero, replicated());
  return first;
}

/// Norms and biases first, then the matrices: what is read in fp32 lies together.
LayerOffsets add_layer(TableBuilder& builder, const ModelSettings& model, std::int64_t number, int copies) {
  const std::string layer = fmt::format("layers.{}.", number);
  const std::string attention = layer + "attention.", feed_forward = layer + "feed_forward.";
  const bool gpt2 = model.family == ModelFamily::kGpt2;
  const std::int64_t query = model.heads * model.head_width;
  const std::int64_t key_value = model.key_value_heads * model.head_width;
  const Projection qkv[] = {{"query", query}, {"key", key_value, copies}, {"value", key_value, copies}};
  const Projection gate_up[] = {{"gate", model.feed_forward_width}, {"up", model.feed_forward_width}};
  const auto in = std::span(gate_up).subspan(gpt2 ? 1 : 0);
  LayerOffsets at;
  at.number = number;
  at.block = builder.begin_block();
  add_norm(builder, layer + "attention_norm", model, at.attention_norm, at.attention_norm_bias);
  if (gpt2) at.query_key_value_bias = add_biases(builder, attention, qkv);
  if (model.query_key_norm) {
    builder.align();
    at.query_norm = builder.add(attention + "query_norm.weight", {model.head_width}, Initializer::kOne, replicated());
    builder.align();
    at.key_norm = builder.add(attention + "key_norm.weight", {model.head_width}, Initializer::kOne, replicated());
  }
  if (gpt2) at.attention_output_bias = add_residual_bias(builder, attention + "output", model.width);
  add_norm(builder, layer + "feed_forward_norm", model, at.feed_forward_norm, at.feed_forward_norm_bias);
  if (gpt2) {
    at.feed_forward_in_bias = add_biases(builder, feed_forward, in);
    at.feed_forward_out_bias = add_residual_bias(builder, feed_forward + "down", model.width);
  }
  builder.end_wide();
  at.query_key_value = add_weights(builder, attention, qkv, model.width);
  at.attention_output = add_residual(builder, attention + "output", model.width, query);
  at.feed_forward_in = add_weights(builder, feed_forward, in, model.width);
  at.feed_forward_out = add_residual(builder, feed_forward + "down", model.width, model.feed_forward_width);
  return at;
}

std::size_t parameters_of_layer(const ModelSettings& model) {
  ParameterTable scratch;
  scratch.model = model;
  TableBuilder builder(scratch);
  add_layer(builder, model, 0, 1);
  return scratch.parameters.size();
}

void add_begin(TableBuilder& builder, ParameterTable& table) {
  const ModelSettings& model = table.model;
  const bool tied = *model.tied_embedding;
  table.embedding_block = builder.begin_block();
  table.embedding = builder.add("embedding.weight", {model.vocabulary_size, model.width}, Initializer::kNormal,
                                sharded(0), table.padded_vocabulary);
  builder.end_wide();
  if (tied && table.share.holds_end) table.blocks.back().narrow_begin = table.blocks.back().begin;
  if (model.family != ModelFamily::kGpt2) return;
  table.positions_block = builder.begin_block();
  table.positions =
      builder.add("positions.weight", {model.context_length, model.width}, Initializer::kNormal, replicated());
  builder.end_wide();
}

void add_end(TableBuilder& builder, ParameterTable& table) {
  const ModelSettings& model = table.model;
  const bool tied = *model.tied_embedding;
  table.final_norm_block = builder.begin_block();
  add_norm(builder, "final_norm", model, table.final_norm, table.final_norm_bias);
  builder.end_wide();
  table.head_block = builder.begin_block();
  if (tied && table.share.holds_begin) return;
  if (tied) builder.continue_at(0);
  table.head = builder.add(tied ? "embedding.weight" : "head.weight", {model.vocabulary_size, model.width},
                           Initializer::kNormal, sharded(0), table.padded_vocabulary);
  if (!tied) return;
  table.parameters.back().tied_copy = true;
  table.parameters.back().counted_here = false;
}

}  // namespace

ParameterTable make_parameter_table(const ModelSettings& resolved_model, const ModelShare& share) {
  const ModelSettings& model = resolved_model;
  const bool gpt2 = model.family == ModelFamily::kGpt2, tied = *model.tied_embedding;
  ParameterTable table;
  table.model = model;
  table.share = share;
  if (share.chunks.empty()) table.share.chunks = {{0, model.layers}};
  table.slices = tensor_slices(model, share.tensor_parts, share.tensor_index);
  const std::int64_t most = parallel::balanced_slice(model.vocabulary_size, share.tensor_parts, 0).size();
  table.padded_vocabulary = round_up(most, kVocabularyMultiple);
  const std::size_t in_layer = parameters_of_layer(model);
  const std::size_t in_front = gpt2 ? 2 : 1;
  const std::size_t behind = in_front + in_layer * std::size_t(model.layers);
  table.parameters_of_model = behind + (gpt2 ? 2 : 1) + (tied ? 0 : 1);
  TableBuilder builder(table);
  if (share.holds_begin) add_begin(builder, table);
  for (const parallel::Slice& chunk : table.share.chunks) {
    const std::int64_t first = std::ssize(table.layers);
    for (std::int64_t layer = chunk.begin; layer < chunk.end; ++layer) {
      builder.continue_at(in_front + in_layer * std::size_t(layer));
      table.layers.push_back(add_layer(builder, model, layer, table.slices.key_value_copies));
    }
    table.chunks.push_back({first, std::ssize(table.layers)});
  }
  builder.continue_at(behind);
  if (share.holds_end) add_end(builder, table);
  builder.end_block();
  table.gradient_elements = table.elements;
  if (share.holds_end && tied && share.holds_begin) {
    table.head = table.embedding;
    table.head_gradient = table.elements;
    table.gradient_elements += table.padded_vocabulary * model.width;
    ParameterBlock& head = table.blocks.back();
    head = {table.head_gradient, table.gradient_elements, table.head_gradient, table.gradient_elements};
  } else if (share.holds_end) {
    table.head_gradient = table.head;
  }
  return table;
}

}  // namespace stoa::trainer

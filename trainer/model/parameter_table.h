#pragma once
/// Every parameter that a rank holds (a part) of: its global name and true shape, the box that is here, how it starts,
/// and where it stands in this rank's flat buffers of masters, gradients and moments. Pure: the same settings and share
/// give the same table.
///
/// Query, key and value (and gate and up) stand back to back, so that one product computes them all. Embedding and head
/// have padded_vocabulary rows in memory; the rows beyond the true vocabulary stay zero and reach no file.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stoa/parallel/shard.h"
#include "stoa/trainer/model/model_share.h"

namespace stoa::trainer {

enum class Initializer {
  kNormal,          ///< N(0, initial_std^2)
  kResidualNormal,  ///< N(0, (initial_std / sqrt(2 L))^2): projections that write into the residual stream
  kZero,
  kOne,
};

struct Parameter {
  std::string name;                 ///< "layers.0.attention.query.weight"
  std::vector<std::int64_t> shape;  ///< true global shape
  parallel::Box box;                ///< of the shape: what this rank holds, dense and row-major at offset
  std::int64_t offset = 0;          ///< first element in the flat buffers
  std::int64_t elements = 0;        ///< of the box
  Initializer initializer = Initializer::kNormal;
  parallel::Placement placement;  ///< of the values on the tensor axis
  /// Of the gradient on the tensor axis. Replicated values have partial gradients: each rank adds up its rows or heads.
  /// So have copies of one slice.
  parallel::Placement gradient;
  std::size_t block = 0;
  std::size_t number = 0;    ///< in the table of the whole model: the same on every layout
  bool tied_copy = false;    ///< the embedding once more, on the last stage, as head
  bool counted_here = true;  ///< of all ranks of the model that hold this box, the one that counts and saves it
  bool decayed() const { return shape.size() >= 2; }
};

/// Where gradients are reduced and parameters are gathered as one.
struct ParameterBlock {
  std::int64_t begin = 0, end = 0;  ///< flat offsets; blocks lie behind each other without gaps
  /// Read in fp32 by the passes (embedding, positions, norms, biases): [begin, wide_end); read as products' copies:
  /// [narrow_begin, end). A tied embedding on one stage is both.
  std::int64_t wide_end = 0, narrow_begin = 0;
};

/// Offsets of one layer's parameters; -1 where the family has none. *_bias of the fused groups cover the whole group.
struct LayerOffsets {
  std::int64_t number = 0;  ///< of the layer in the model
  std::size_t block = 0;
  std::int64_t attention_norm = -1, attention_norm_bias = -1;
  std::int64_t query_key_value = -1, query_key_value_bias = -1;
  std::int64_t query_norm = -1, key_norm = -1;
  std::int64_t attention_output = -1, attention_output_bias = -1;
  std::int64_t feed_forward_norm = -1, feed_forward_norm_bias = -1;
  std::int64_t feed_forward_in = -1, feed_forward_in_bias = -1;  ///< gate and up, or up alone
  std::int64_t feed_forward_out = -1, feed_forward_out_bias = -1;
};

struct ParameterTable {
  ModelSettings model;  ///< resolved; of the whole model
  ModelShare share;
  TensorSlices slices;
  std::vector<Parameter> parameters;
  std::vector<LayerOffsets> layers;     ///< those of all chunks
  std::vector<parallel::Slice> chunks;  ///< indexes into layers
  std::vector<ParameterBlock> blocks;   ///< a gradient-only one last where an embedding is tied on one stage
  std::size_t embedding_block = 0, positions_block = 0, final_norm_block = 0, head_block = 0;
  std::size_t parameters_of_model = 0;  ///< numbers of the whole model
  std::int64_t embedding = -1, positions = -1;
  std::int64_t final_norm = -1, final_norm_bias = -1;
  std::int64_t head = -1;              ///< = embedding where tied
  std::int64_t padded_vocabulary = 0;  ///< rows here; the same on every rank of the tensor axis
  std::int64_t elements = 0;           ///< of the flat buffers of masters and moments
  /// Where the head's part of a tied gradient is gathered, behind the others: both parts are summed over micro-batches
  /// and ranks apart and added last, so that the sum does not depend on which rank holds which. = head where untied.
  std::int64_t head_gradient = -1;
  std::int64_t gradient_elements = 0;

  /// Both uses of a tied embedding are here, so its gradient has two parts.
  bool tied() const { return head >= 0 && head == embedding; }
  /// The other copy is on the other end of the pipeline.
  bool tied_across_stages() const { return *model.tied_embedding && share.holds_begin != share.holds_end; }
};

/// Multiple to which the vocabulary of a rank is padded in memory.
inline constexpr std::int64_t kVocabularyMultiple = 128;

ParameterTable make_parameter_table(const ModelSettings& resolved_model, const ModelShare& share = {});

}  // namespace stoa::trainer

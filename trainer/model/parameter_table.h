#pragma once
/// Every parameter of a model: its global name and true shape, how it starts, and where it stands in the flat buffers
/// of masters, gradients and moments. Pure: the same settings give the same table on every rank.
///
/// Query, key and value (and gate and up) stand back to back, so that one product computes them all. Embedding and head
/// have padded_vocabulary rows in memory; the rows beyond the true vocabulary stay zero and reach no file.
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "stoa/parallel/shard.h"
#include "stoa/trainer/settings.h"

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
  std::int64_t offset = 0;          ///< first element in the flat buffers
  std::int64_t elements = 0;        ///< of the true shape
  Initializer initializer = Initializer::kNormal;
  parallel::Placement placement;  ///< on the tensor axis
  bool decayed() const { return shape.size() >= 2; }
};

/// Offsets of one layer's parameters; -1 where the family has none. *_bias of the fused groups cover the whole group.
struct LayerOffsets {
  std::int64_t attention_norm = -1, attention_norm_bias = -1;
  std::int64_t query_key_value = -1, query_key_value_bias = -1;
  std::int64_t query_norm = -1, key_norm = -1;
  std::int64_t attention_output = -1, attention_output_bias = -1;
  std::int64_t feed_forward_norm = -1, feed_forward_norm_bias = -1;
  std::int64_t feed_forward_in = -1, feed_forward_in_bias = -1;  ///< gate and up, or up alone
  std::int64_t feed_forward_out = -1, feed_forward_out_bias = -1;
};

struct ParameterTable {
  ModelSettings model;  ///< resolved
  std::vector<Parameter> parameters;
  std::vector<LayerOffsets> layers;
  std::int64_t embedding = -1, positions = -1;
  std::int64_t final_norm = -1, final_norm_bias = -1;
  std::int64_t head = -1;  ///< = embedding where tied
  std::int64_t padded_vocabulary = 0;
  std::int64_t elements = 0;  ///< of the flat buffers of masters and moments
  /// Where the head's part of a tied gradient is gathered, behind the others: both parts are summed over micro-batches
  /// and ranks apart and added last, so that the sum does not depend on which rank holds which. = head where untied.
  std::int64_t head_gradient = -1;
  std::int64_t gradient_elements = 0;

  bool tied() const { return head == embedding; }
};

/// Multiple to which the vocabulary is padded in memory: independent of the layout, so that shapes never change.
inline constexpr std::int64_t kVocabularyMultiple = 128;

ParameterTable make_parameter_table(const ModelSettings& resolved_model);

}  // namespace stoa::trainer

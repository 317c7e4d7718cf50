#pragma once
/// Which part of a model a rank holds: its slice on the tensor axis and its chunks of layers on the pipeline axis. Pure
/// arithmetic, the same for planner, trainer and checkpoint.
#include <cstdint>
#include <span>
#include <vector>

#include "stoa/parallel/mesh.h"
#include "stoa/parallel/shard.h"
#include "stoa/trainer/settings.h"

namespace stoa::trainer {

struct ModelShare {
  int tensor_parts = 1;
  int tensor_index = 0;
  /// Global numbers of the layers of each chunk, in the order of the forward pass. Empty: one chunk, all layers.
  std::vector<parallel::Slice> chunks;
  bool holds_begin = true;  ///< embedding (and positions), before the first chunk
  bool holds_end = true;    ///< final norm and head, behind the last chunk
};

/// What the parts of a model cost to train on a token, in FLOPs: forward and backward products and attention as
/// training_flops_per_token counts them.
///
/// The embedding has no products: for each token a table's row is read (4 D bytes) and written as the residual stream
/// (4 D), and backward the stream's gradient is read (4 D) and added to the table's (8 D). A byte costs what a
/// processor computes meanwhile: 900 GFLOP/s of bf16 products by 40 GB/s, as measured, 22.5 FLOPs (accelerators: some
/// hundred), so 450 D a table: of a head of 32,000 words the four-hundredth part. What the optimizer does to parameters
/// once a step is not counted: it costs every stage alike for each parameter, and less the more tokens a step has.
struct ModelLoad {
  std::int64_t begin = 0;  ///< embedding and learned positions
  std::int64_t layer = 0;  ///< each
  std::int64_t end = 0;    ///< final norm and head
};
ModelLoad model_load(const ModelSettings& resolved_model);

/// The layers of each of `chunks` chunks of the whole model, in its order: as `given` where that is not empty, else so
/// that the heaviest chunk is as light as can be, embedding and head counted as load, the second heaviest after it, and
/// so on. Of chunks as heavy, later ones get more: a pipeline keeps activations of fewer micro-batches there. Every
/// chunk has a layer. REQUIRES: check_training passed (layers >= chunks).
std::vector<parallel::Slice> cut_layers(const ModelSettings& resolved_model, int chunks,
                                        std::span<const std::int64_t> given);

/// Global chunk c * stages + s is chunk c of stage s.
ModelShare model_share(const ModelSettings& resolved_model, const ParallelSettings& parallel,
                       const parallel::MeshCoordinate& at);

/// What a rank of the tensor axis holds of each dim that is cut.
struct TensorSlices {
  parallel::Slice heads, key_value_heads, feed_forward, vocabulary;
  int key_value_copies = 1;  ///< neighbouring ranks with the same key-value head
};
TensorSlices tensor_slices(const ModelSettings& resolved_model, int parts, int index);

}  // namespace stoa::trainer

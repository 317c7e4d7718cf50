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

/// The layers of each of `chunks` chunks of the whole model, in its order: as `given` where that is not empty, else so
/// that the heaviest chunk is as light as can be, embedding and head counted as load. REQUIRES: check_training passed.
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

#include "stoa/trainer/model/model_share.h"

#include <algorithm>

namespace stoa::trainer {

std::vector<parallel::Slice> cut_layers(const ModelSettings& model, int chunks, std::span<const std::int64_t> given) {
  std::vector<parallel::Slice> cut;
  std::int64_t begin = 0;
  for (int chunk = 0; chunk < chunks; ++chunk) {
    const std::int64_t size =
        given.empty() ? parallel::balanced_slice(model.layers, chunks, chunk).size() : given[std::size_t(chunk)];
    cut.push_back({begin, begin + size});
    begin += size;
  }
  return cut;
}

ModelShare model_share(const ModelSettings& model, const ParallelSettings& parallel,
                       const parallel::MeshCoordinate& at) {
  const int stages = parallel.mesh.pipeline;
  const auto cut = cut_layers(model, stages * parallel.chunks_per_stage, parallel.stage_layers);
  ModelShare share{.tensor_parts = parallel.mesh.tensor,
                   .tensor_index = at.tensor,
                   .chunks = {},
                   .holds_begin = at.pipeline == 0,
                   .holds_end = at.pipeline == stages - 1};
  for (int chunk = 0; chunk < parallel.chunks_per_stage; ++chunk)
    share.chunks.push_back(cut[std::size_t(chunk * stages + at.pipeline)]);
  return share;
}

TensorSlices tensor_slices(const ModelSettings& model, int parts, int index) {
  const int copies = std::max(1, parts / int(model.key_value_heads));
  return {.heads = parallel::balanced_slice(model.heads, parts, index),
          .key_value_heads = parallel::balanced_slice(model.key_value_heads, parts / copies, index / copies),
          .feed_forward = parallel::balanced_slice(model.feed_forward_width, parts, index),
          .vocabulary = parallel::balanced_slice(model.vocabulary_size, parts, index),
          .key_value_copies = copies};
}

}  // namespace stoa::trainer

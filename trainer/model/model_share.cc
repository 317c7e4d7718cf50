#include "stoa/trainer/model/model_share.h"

#include <algorithm>
#include <cmath>
#include <queue>
#include <utility>

namespace stoa::trainer {
namespace {

/// Layers are as heavy as each other, so one after the other goes where the load is least. No exchange of a layer
/// between two chunks then makes the heavier of them lighter.
std::vector<std::int64_t> balanced_layers(const ModelSettings& model, int chunks) {
  const ModelLoad load = model_load(model);
  std::vector<std::int64_t> layers(std::size_t(chunks), 1);
  std::priority_queue<std::pair<std::int64_t, int>> lightest;  // of negative load and chunk: the last of equals first
  for (int chunk = 0; chunk < chunks; ++chunk)
    lightest.emplace(-(load.layer + (chunk == 0 ? load.begin : 0) + (chunk == chunks - 1 ? load.end : 0)), chunk);
  for (std::int64_t layer = chunks; layer < model.layers; ++layer) {
    const auto [negative_load, chunk] = lightest.top();
    lightest.pop();
    ++layers[std::size_t(chunk)];
    lightest.emplace(negative_load - load.layer, chunk);
  }
  return layers;
}

}  // namespace

ModelLoad model_load(const ModelSettings& model) {
  constexpr std::int64_t kBytesPerElement = 20;
  constexpr double kFlopsPerByte = 22.5;
  ModelSettings one_layer = model;
  one_layer.layers = 1;
  const std::int64_t head = 6 * model.vocabulary_size * model.width;
  const std::int64_t tables = model.family == ModelFamily::kGpt2 ? 2 : 1;
  return {.begin = std::llround(double(tables * model.width * kBytesPerElement) * kFlopsPerByte),
          .layer = std::llround(training_flops_per_token(one_layer)) - head,
          .end = head};
}

std::vector<parallel::Slice> cut_layers(const ModelSettings& model, int chunks, std::span<const std::int64_t> given) {
  const std::vector<std::int64_t> sizes =
      given.empty() ? balanced_layers(model, chunks) : std::vector<std::int64_t>(given.begin(), given.end());
  std::vector<parallel::Slice> cut;
  std::int64_t begin = 0;
  for (const std::int64_t size : sizes) {
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

#include "stoa/trainer/verification/small_model.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "stoa/base/error.h"
#include "stoa/trainer/layout_check.h"

namespace stoa::trainer {
namespace {

constexpr std::int64_t kWidth = 37, kFeedForwardWidth = 51, kVocabulary = 67, kContext = 11;
constexpr std::int64_t kLeastLayers = 4, kLeastHeads = 4, kMostHeads = 32, kMostGroup = 4, kMostMicroBatch = 2;
constexpr std::int64_t kLeastMicroBatches = 8, kMostMicroBatches = 128;
/// So large that gradients of all parts of a small model are of one size.
constexpr double kInitialStd = 0.2;
/// One update changes the loss by a part of it that no rounding reaches.
constexpr double kLearningRate = 0.01;

ModelSettings small_model(const ModelSettings& model, std::int64_t layers, std::int64_t heads, std::int64_t group) {
  ModelSettings small = model;
  small.layers = layers;
  small.width = kWidth;
  small.heads = heads;
  small.key_value_heads = heads / group;
  small.head_width = model.family == ModelFamily::kLlama ? 6 : 5;  // rotary positions turn pairs
  small.feed_forward_width = kFeedForwardWidth;
  small.vocabulary_size = kVocabulary;
  small.context_length = kContext;
  small.initial_std = kInitialStd;
  return small;
}

/// As many chunks with the heaviest one where it was: one layer more than the others have.
std::vector<std::int64_t> small_stage_layers(const std::vector<std::int64_t>& given, int chunks) {
  if (given.empty()) return {};
  std::vector<std::int64_t> layers(std::size_t(chunks), 1);
  const auto heaviest = std::size_t(std::max_element(given.begin(), given.end()) - given.begin());
  layers[heaviest * layers.size() / given.size()] += 1;
  return layers;
}

ParallelSettings small_layout(const ParallelSettings& parallel) {
  ParallelSettings small = parallel;
  small.mesh = scaled_down(parallel.mesh, kMostVerifiedRanks);
  small.chunks_per_stage = std::min(parallel.chunks_per_stage, 2);
  small.stage_layers = small_stage_layers(parallel.stage_layers, small.mesh.pipeline * small.chunks_per_stage);
  small.threads_per_rank = 1;
  return small;
}

std::int64_t small_layers(const ParallelSettings& small) {
  if (!small.stage_layers.empty())
    return std::accumulate(small.stage_layers.begin(), small.stage_layers.end(), std::int64_t{0});
  return std::max(kLeastLayers, std::int64_t{small.mesh.pipeline} * small.chunks_per_stage);
}

/// Finds a batch for the model; false where no number of micro-batches does.
bool find_batch(StepSettings& small) {
  TrainingSettings& training = small.training;
  for (std::int64_t micro_batches = kLeastMicroBatches; micro_batches <= kMostMicroBatches; ++micro_batches) {
    training.global_batch = micro_batches * training.micro_batch;
    if (training.global_batch * kContext < 2 * kVocabulary) continue;
    const auto wrong = check_layout(small.model, training, small.parallel);
    if (!wrong) return true;
    if (!wrong->key.starts_with("training.")) return false;
  }
  return false;
}

/// Whether tensor ranks share a key-value head.
bool has_copies(const ModelSettings& model, const parallel::MeshSize& mesh) {
  return mesh.tensor > model.key_value_heads;
}

enum class Copies { kAsGiven, kAny };

bool find_model(const StepSettings& experiment, Copies copies, StepSettings& small) {
  const ModelSettings& model = experiment.model;
  const std::int64_t layers = small_layers(small.parallel);
  const std::int64_t group = std::min(model.heads / model.key_value_heads, kMostGroup);
  const std::int64_t least = group * std::min<std::int64_t>(model.key_value_heads, 2);
  for (std::int64_t heads = std::max(least, std::min(kLeastHeads, model.heads)); heads <= kMostHeads; ++heads) {
    if (heads % group != 0) continue;
    small.model = small_model(model, layers, heads, group);
    const bool is_alike = has_copies(small.model, small.parallel.mesh) == has_copies(model, experiment.parallel.mesh);
    if ((copies == Copies::kAny || is_alike) && find_batch(small)) return true;
  }
  return false;
}

}  // namespace

parallel::MeshSize scaled_down(const parallel::MeshSize& mesh, int most_ranks) {
  parallel::MeshSize small = mesh;
  const std::array axes = {&small.data, &small.pipeline, &small.tensor};
  while (small.ranks() > most_ranks) {
    int& largest = **std::max_element(axes.begin(), axes.end(), [](const int* a, const int* b) { return *a < *b; });
    if (largest <= 2) break;
    largest = (largest + 1) / 2;
  }
  return small;
}

StepSettings small_settings(const StepSettings& experiment) {
  StepSettings small = experiment;
  small.parallel = small_layout(experiment.parallel);
  small.training.micro_batch = std::min(experiment.training.micro_batch, kMostMicroBatch);
  small.optimizer.learning_rate = kLearningRate;
  for (const Copies copies : {Copies::kAsGiven, Copies::kAny})
    if (find_model(experiment, copies, small)) return small;
  throw ConfigError("parallel: no small model works on {}, to which the mesh was scaled down",
                    mesh_text(small.parallel.mesh));
}

}  // namespace stoa::trainer

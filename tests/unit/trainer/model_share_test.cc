/// Which layers and slices a rank of a mesh holds.
#include "stoa/trainer/model/model_share.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <numeric>

#include "stoa/tests/unit/trainer/model_cases.h"

namespace stoa::trainer {
namespace {

std::vector<std::int64_t> loads_of(const ModelSettings& model, const std::vector<std::int64_t>& layers) {
  const ModelLoad load = model_load(model);
  std::vector<std::int64_t> loads;
  for (const std::int64_t count : layers) loads.push_back(count * load.layer);
  loads.front() += load.begin;
  loads.back() += load.end;
  return loads;
}

/// Heaviest first: compared as words, the least of them is the most even.
std::vector<std::int64_t> heaviest_first(std::vector<std::int64_t> loads) {
  std::sort(loads.begin(), loads.end(), std::greater<>());
  return loads;
}

std::vector<std::int64_t> sizes_of(const std::vector<parallel::Slice>& cut) {
  std::vector<std::int64_t> sizes;
  for (const parallel::Slice& slice : cut) sizes.push_back(slice.size());
  return sizes;
}

/// Calls visit with every way to cut `layers` into `chunks` of one layer at least.
void for_each_cut(std::int64_t layers, int chunks, std::vector<std::int64_t>& sizes,
                  const std::function<void(const std::vector<std::int64_t>&)>& visit) {
  if (chunks == 1) {
    sizes.push_back(layers);
    visit(sizes);
    sizes.pop_back();
    return;
  }
  for (std::int64_t first = 1; first <= layers - chunks + 1; ++first) {
    sizes.push_back(first);
    for_each_cut(layers - first, chunks - 1, sizes, visit);
    sizes.pop_back();
  }
}

/// Heads that weigh less than a layer, about one, and several.
std::vector<ModelSettings> head_weights() {
  std::vector<ModelSettings> models;
  for (const std::int64_t vocabulary : {33, 257, 1025, 4099}) {
    models.push_back(small_llama());
    models.push_back(small_gpt2());
    for (ModelSettings& model : std::span(models).last(2)) model.vocabulary_size = vocabulary;
  }
  return models;
}

TEST(CutLayers, NoOtherCutIsLighterAtItsHeaviestChunkOrMoreEven) {
  for (ModelSettings model : head_weights())
    for (model.layers = 1; model.layers <= 11; ++model.layers)
      for (int chunks = 1; chunks <= std::min<std::int64_t>(model.layers, 5); ++chunks) {
        const auto cut = sizes_of(cut_layers(model, chunks, {}));
        const auto loads = heaviest_first(loads_of(model, cut));
        std::vector<std::int64_t> sizes;
        for_each_cut(model.layers, chunks, sizes, [&](const auto& other) {
          EXPECT_LE(loads, heaviest_first(loads_of(model, other)))
              << model.layers << " layers in " << chunks << " chunks, vocabulary " << model.vocabulary_size;
        });
      }
}

TEST(CutLayers, ChunksFollowEachOtherThroughAllLayersAndNoneIsEmpty) {
  for (ModelSettings model : head_weights())
    for (model.layers = 1; model.layers <= 65; model.layers += 7)
      for (int chunks = 1; chunks <= model.layers; chunks += 3) {
        std::int64_t end = 0;
        for (const parallel::Slice& chunk : cut_layers(model, chunks, {})) {
          EXPECT_EQ(chunk.begin, end);
          EXPECT_GE(chunk.size(), 1);
          end = chunk.end;
        }
        EXPECT_EQ(end, model.layers);
      }
}

TEST(CutLayers, AHeadOfManyWordsLeavesItsChunkFewerLayers) {
  ModelSettings model = small_llama();
  model.layers = 13;
  const ModelLoad load = model_load(model);
  model.vocabulary_size = 3 * load.layer / (6 * model.width);
  EXPECT_EQ(sizes_of(cut_layers(model, 4, {})), (std::vector<std::int64_t>{4, 4, 4, 1}));
  model.vocabulary_size = 2;
  EXPECT_EQ(sizes_of(cut_layers(model, 4, {})), (std::vector<std::int64_t>{3, 3, 4, 3}));
}

TEST(CutLayers, GivenLayersAreTakenAsGiven) {
  const std::int64_t given[] = {1, 5, 3};
  ModelSettings model = small_llama();
  model.layers = 9;
  EXPECT_EQ(cut_layers(model, 3, given), (std::vector<parallel::Slice>{{0, 1}, {1, 6}, {6, 9}}));
}

TEST(CutLayers, TenThousandLayersAreCutAtOnce) {
  ModelSettings model = small_llama();
  model.layers = 10000;
  const auto cut = sizes_of(cut_layers(model, 1025, {}));
  EXPECT_EQ(std::accumulate(cut.begin(), cut.end(), std::int64_t{0}), 10000);
}

TEST(ModelLoad, IsTheFlopsOfTrainingOnATokenAndTheEmbeddingIsLight) {
  for (const ModelSettings& model : {small_llama(), small_gpt2()}) {
    const ModelLoad load = model_load(model);
    EXPECT_EQ(double(model.layers * load.layer + load.end), training_flops_per_token(model));
    EXPECT_GT(load.begin, 0);
  }
}

TEST(ModelShare, ChunksOfAllStagesHoldEachLayerOnce) {
  ModelSettings model = small_llama();
  model.layers = 17;
  for (const int stages : {1, 2, 3, 5})
    for (int chunks = 1; stages * chunks <= 15; ++chunks) {
      const ParallelSettings parallel{
          .mesh = {.data = 1, .pipeline = stages, .tensor = 1}, .chunks_per_stage = chunks, .stage_layers = {}};
      const auto cut = cut_layers(model, stages * chunks, {});
      for (int stage = 0; stage < stages; ++stage) {
        const ModelShare share = model_share(model, parallel, {.data = 0, .pipeline = stage, .tensor = 0});
        ASSERT_EQ(std::ssize(share.chunks), chunks);
        for (int chunk = 0; chunk < chunks; ++chunk)
          EXPECT_EQ(share.chunks[std::size_t(chunk)], cut[std::size_t(chunk * stages + stage)]);
        EXPECT_EQ(share.holds_begin, stage == 0);
        EXPECT_EQ(share.holds_end, stage == stages - 1);
      }
    }
}

TEST(TensorSlices, EachQueryHeadReadsAKeyValueHeadOfItsRank) {
  ModelSettings model = small_llama();
  model.heads = 24;
  for (const std::int64_t key_value_heads : {1, 2, 3, 4, 6, 8, 12, 24})
    for (const int parts : {1, 2, 3, 4, 6, 8, 12, 24}) {
      if (key_value_heads % parts != 0 && parts % key_value_heads != 0) continue;
      model.key_value_heads = key_value_heads;
      const std::int64_t group = model.heads / key_value_heads;
      for (int index = 0; index < parts; ++index) {
        const TensorSlices slices = tensor_slices(model, parts, index);
        EXPECT_EQ(slices.heads.size(), model.heads / parts);
        EXPECT_EQ(slices.key_value_copies, std::max<int>(1, parts / int(key_value_heads)));
        for (std::int64_t head = slices.heads.begin; head < slices.heads.end; ++head) {
          EXPECT_GE(head / group, slices.key_value_heads.begin);
          EXPECT_LT(head / group, slices.key_value_heads.end);
        }
      }
    }
}

}  // namespace
}  // namespace stoa::trainer

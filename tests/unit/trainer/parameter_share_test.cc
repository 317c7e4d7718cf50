/// Tables of parameters of shares: what all ranks of a mesh hold together, and how it lies in each rank's memory.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "stoa/tests/unit/trainer/share_cases.h"

namespace stoa::trainer {
namespace {

void for_each_mesh(const std::function<void(const ModelSettings&, const MeshShares&)>& check) {
  for (const ModelSettings& model : models_to_share())
    for (const MeshShares& mesh : meshes_of(model)) {
      SCOPED_TRACE(mesh.name);
      check(model, mesh);
    }
}

std::map<std::string, Parameter> by_name(const ParameterTable& table) {
  std::map<std::string, Parameter> found;
  for (const Parameter& parameter : table.parameters) found[parameter.name] = parameter;
  return found;
}

/// Adds one to each element of `box` in a row-major counter of `shape`.
void count(const parallel::Box& box, const std::vector<std::int64_t>& shape, std::vector<int>& counter) {
  const bool matrix = shape.size() == 2;
  const std::int64_t columns = matrix ? shape[1] : 1;
  for (std::int64_t row = box.begin[0]; row < box.begin[0] + box.size[0]; ++row)
    for (std::int64_t column = 0; column < (matrix ? box.size[1] : 1); ++column)
      ++counter.at(std::size_t(row * columns + column + (matrix ? box.begin[1] : 0)));
}

TEST(ParameterShares, MeshesOfEveryKindAreAmongThoseTested) {
  std::set<int> tensor, pipeline;
  bool copies = false, tied_across_stages = false;
  for_each_mesh([&](const ModelSettings&, const MeshShares& mesh) {
    tensor.insert(mesh.parallel.mesh.tensor);
    pipeline.insert(mesh.parallel.mesh.pipeline);
    for (const ParameterTable& table : mesh.tables) {
      copies = copies || table.slices.key_value_copies > 1;
      tied_across_stages = tied_across_stages || table.tied_across_stages();
    }
  });
  EXPECT_EQ(tensor, (std::set<int>{1, 2, 4, 6, 8}));
  EXPECT_EQ(pipeline, (std::set<int>{1, 2, 3, 4}));
  EXPECT_TRUE(copies);
  EXPECT_TRUE(tied_across_stages);
}

TEST(ParameterShares, WhatAllRanksCountTilesEachTensorOnce) {
  for_each_mesh([](const ModelSettings& model, const MeshShares& mesh) {
    std::map<std::string, std::vector<int>> counters;
    for (const Parameter& parameter : make_parameter_table(model).parameters)
      counters[parameter.name].resize(std::size_t(parameter.elements));
    for (const ParameterTable& table : mesh.tables)
      for (const Parameter& parameter : table.parameters)
        if (parameter.counted_here) {
          EXPECT_FALSE(parameter.tied_copy) << parameter.name;
          count(parameter.box, parameter.shape, counters.at(parameter.name));
        }
    for (const auto& [name, counter] : counters) EXPECT_EQ(counter, std::vector<int>(counter.size(), 1)) << name;
  });
}

TEST(ParameterShares, NamesShapesAndNumbersAreThoseOfTheWholeModel) {
  for_each_mesh([](const ModelSettings& model, const MeshShares& mesh) {
    const auto whole = by_name(make_parameter_table(model));
    std::set<std::size_t> numbers;
    for (const ParameterTable& table : mesh.tables) {
      EXPECT_EQ(table.parameters_of_model, whole.size());
      for (const Parameter& parameter : table.parameters) {
        const Parameter& same = whole.at(parameter.name);
        EXPECT_EQ(parameter.shape, same.shape) << parameter.name;
        EXPECT_EQ(parameter.number, same.number) << parameter.name;
        EXPECT_EQ(parameter.initializer, same.initializer) << parameter.name;
        EXPECT_EQ(parameter.elements, parameter.box.elements()) << parameter.name;
        numbers.insert(parameter.number);
      }
    }
    EXPECT_EQ(numbers.size(), whole.size());
    EXPECT_EQ(*numbers.rbegin(), whole.size() - 1);
  });
}

TEST(ParameterShares, AStageHasTheLayersOfItsChunksAndTheEndsThatItHolds) {
  for_each_mesh([](const ModelSettings& model, const MeshShares& mesh) {
    for (const ParameterTable& table : mesh.tables) {
      const auto names = by_name(table);
      const bool tied = *model.tied_embedding;
      EXPECT_EQ(names.contains("embedding.weight"), table.share.holds_begin || (tied && table.share.holds_end));
      EXPECT_EQ(names.contains("head.weight"), table.share.holds_end && !tied);
      EXPECT_EQ(names.contains("final_norm.weight"), table.share.holds_end);
      EXPECT_EQ(table.embedding >= 0, table.share.holds_begin);
      EXPECT_EQ(table.head >= 0, table.share.holds_end);
      EXPECT_EQ(table.tied(), tied && table.share.holds_begin && table.share.holds_end);
      ASSERT_EQ(table.chunks.size(), table.share.chunks.size());
      for (std::size_t chunk = 0; chunk < table.chunks.size(); ++chunk) {
        ASSERT_EQ(table.chunks[chunk].size(), table.share.chunks[chunk].size());
        for (std::int64_t i = 0; i < table.chunks[chunk].size(); ++i)
          EXPECT_EQ(table.layers[std::size_t(table.chunks[chunk].begin + i)].number,
                    table.share.chunks[chunk].begin + i);
      }
      EXPECT_EQ(table.chunks.back().end, std::ssize(table.layers));
    }
  });
}

TEST(ParameterShares, BlocksLieBehindEachOtherAndHoldTheirParameters) {
  for_each_mesh([](const ModelSettings&, const MeshShares& mesh) {
    for (const ParameterTable& table : mesh.tables) {
      std::int64_t end = 0;
      for (const ParameterBlock& block : table.blocks) {
        EXPECT_EQ(block.begin, end);
        EXPECT_TRUE(block.begin <= block.wide_end && block.wide_end <= block.end);
        EXPECT_TRUE(block.begin <= block.narrow_begin && block.narrow_begin <= block.end);
        if (block.begin < table.elements)
          EXPECT_LE(block.narrow_begin, block.wide_end) << "all of a block is read";
        else
          EXPECT_TRUE(block.wide_end == block.begin && block.narrow_begin == block.end) << "only gradients are there";
        end = block.end;
      }
      EXPECT_EQ(end, table.gradient_elements);
      end = 0;
      for (const Parameter& parameter : table.parameters) {
        const ParameterBlock& block = table.blocks.at(parameter.block);
        EXPECT_GE(parameter.offset, end) << parameter.name;
        end = parameter.offset + parameter.elements;
        EXPECT_LE(block.begin, parameter.offset) << parameter.name;
        EXPECT_LE(end, block.end) << parameter.name;
      }
      EXPECT_LE(end, table.elements);
    }
  });
}

TEST(ParameterShares, VectorsAndLookedUpTablesAreWideAndMatricesOfProductsNarrow) {
  for_each_mesh([](const ModelSettings&, const MeshShares& mesh) {
    for (const ParameterTable& table : mesh.tables)
      for (const Parameter& parameter : table.parameters) {
        const ParameterBlock& block = table.blocks[parameter.block];
        const bool looked_up = parameter.offset == table.embedding || parameter.offset == table.positions;
        const bool in_products = parameter.shape.size() == 2 && (!looked_up || parameter.offset == table.head);
        const bool wide = parameter.offset < block.wide_end;
        const bool narrow = parameter.offset >= block.narrow_begin;
        EXPECT_EQ(wide, parameter.shape.size() == 1 || looked_up) << parameter.name;
        EXPECT_EQ(narrow, in_products) << parameter.name;
        EXPECT_TRUE(!wide || parameter.offset + parameter.elements <= block.wide_end) << parameter.name;
      }
  });
}

TEST(ParameterShares, EmbeddingAndHeadHaveBlocksOfOneSize) {
  for_each_mesh([](const ModelSettings&, const MeshShares& mesh) {
    const int tensor = mesh.parallel.mesh.tensor;
    for (int index = 0; index < tensor; ++index) {
      const ParameterTable& first = mesh.tables[std::size_t(index)];
      const ParameterTable& last = mesh.tables[mesh.tables.size() - std::size_t(tensor - index)];
      const ParameterBlock& embedding = first.blocks[first.embedding_block];
      const ParameterBlock& head = last.blocks[last.head_block];
      EXPECT_EQ(embedding.end - embedding.begin, head.end - head.begin);
      EXPECT_EQ(head.begin, last.head_gradient);
    }
  });
}

TEST(ParameterShares, GradientsOfWhatSeveralTensorRanksHoldAreTermsOfASum) {
  for_each_mesh([](const ModelSettings&, const MeshShares& mesh) {
    std::map<std::string, std::vector<parallel::Box>> boxes;
    const int tensor = mesh.parallel.mesh.tensor;
    for (int index = 0; index < tensor; ++index)
      for (const Parameter& parameter : mesh.tables[std::size_t(index)].parameters)
        boxes[parameter.name].push_back(parameter.box);
    for (const Parameter& parameter : mesh.tables[0].parameters) {
      const auto& held = boxes[parameter.name];
      const auto holders = std::count(held.begin(), held.end(), parameter.box);
      EXPECT_EQ(parameter.gradient.kind == parallel::PlacementKind::kPartial, holders > 1) << parameter.name;
      EXPECT_EQ(parameter.placement.kind == parallel::PlacementKind::kReplicated ? tensor : parameter.placement.copies,
                holders)
          << parameter.name;
    }
  });
}

TEST(ParameterShares, VocabularyRowsInMemoryAreAsManyOnEveryTensorRank) {
  for_each_mesh([](const ModelSettings& model, const MeshShares& mesh) {
    for (const ParameterTable& table : mesh.tables) {
      EXPECT_EQ(table.padded_vocabulary, mesh.tables[0].padded_vocabulary);
      EXPECT_EQ(table.padded_vocabulary % kVocabularyMultiple, 0);
      EXPECT_GE(table.padded_vocabulary, table.slices.vocabulary.size());
      EXPECT_LT(table.padded_vocabulary - kVocabularyMultiple, model.vocabulary_size / mesh.parallel.mesh.tensor + 1);
    }
  });
}

TEST(ParameterShares, OneRankHoldsTheNamesAndShapesOfFilesWrittenBefore) {
  ModelSettings model = small_gpt2();
  model.layers = 1;
  std::string found;
  for (const auto& [name, parameter] : by_name(make_parameter_table(model))) {
    found += name;
    for (const std::int64_t extent : parameter.shape) found += " " + std::to_string(extent);
    found += "\n";
  }
  EXPECT_EQ(found,
            "embedding.weight 131 33\nfinal_norm.bias 33\nfinal_norm.weight 33\n"
            "layers.0.attention.key.bias 33\nlayers.0.attention.key.weight 33 33\n"
            "layers.0.attention.output.bias 33\nlayers.0.attention.output.weight 33 33\n"
            "layers.0.attention.query.bias 33\nlayers.0.attention.query.weight 33 33\n"
            "layers.0.attention.value.bias 33\nlayers.0.attention.value.weight 33 33\n"
            "layers.0.attention_norm.bias 33\nlayers.0.attention_norm.weight 33\n"
            "layers.0.feed_forward.down.bias 33\nlayers.0.feed_forward.down.weight 33 65\n"
            "layers.0.feed_forward.up.bias 65\nlayers.0.feed_forward.up.weight 65 33\n"
            "layers.0.feed_forward_norm.bias 33\nlayers.0.feed_forward_norm.weight 33\n"
            "positions.weight 33 33\n");
  model = small_llama();
  model.layers = 1;
  found.clear();
  for (const auto& [name, parameter] : by_name(make_parameter_table(model))) {
    found += name;
    for (const std::int64_t extent : parameter.shape) found += " " + std::to_string(extent);
    found += "\n";
  }
  EXPECT_EQ(found,
            "embedding.weight 257 30\nfinal_norm.weight 30\nhead.weight 257 30\n"
            "layers.0.attention.key.weight 20 30\nlayers.0.attention.key_norm.weight 10\n"
            "layers.0.attention.output.weight 30 60\nlayers.0.attention.query.weight 60 30\n"
            "layers.0.attention.query_norm.weight 10\nlayers.0.attention.value.weight 20 30\n"
            "layers.0.attention_norm.weight 30\nlayers.0.feed_forward.down.weight 30 37\n"
            "layers.0.feed_forward.gate.weight 37 30\nlayers.0.feed_forward.up.weight 37 30\n"
            "layers.0.feed_forward_norm.weight 30\n");
}

}  // namespace
}  // namespace stoa::trainer

#include "stoa/trainer/model/parameter_pieces.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "stoa/base/error.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/checkpoint/small_model.h"
#include "stoa/tests/unit/trainer/share_cases.h"

namespace stoa::trainer {
namespace {

constexpr double kDeadline_s = 60;

/// Value i at element i, so that a misplaced piece cannot look right.
std::vector<float> numbered(const ParameterTable& table) {
  std::vector<float> flat(std::size_t(table.elements));
  for (std::size_t i = 0; i < flat.size(); ++i) flat[i] = static_cast<float>(i);
  return flat;
}

/// Calls visit(index in the box, global index) for each element of a box, row-major.
void for_each_element(const parallel::Box& box, const std::vector<std::int64_t>& shape,
                      const std::function<void(std::size_t, std::int64_t)>& visit) {
  const bool matrix = shape.size() == 2;
  std::size_t i = 0;
  for (std::int64_t row = 0; row < box.size[0]; ++row)
    for (std::int64_t column = 0; column < (matrix ? box.size[1] : 1); ++column)
      visit(i++, (box.begin[0] + row) * (matrix ? shape[1] : 1) + column + (matrix ? box.begin[1] : 0));
}

/// A number that only this element of this tensor has.
float value_of(const Parameter& parameter, std::int64_t element) {
  return float(std::int64_t(parameter.number) * 8192 + element);
}

/// What a rank's buffer holds where every parameter has value_of; padding is -1.
std::vector<float> filled(const ParameterTable& table) {
  std::vector<float> flat(std::size_t(table.elements), -1);
  for (const Parameter& parameter : table.parameters)
    for_each_element(parameter.box, parameter.shape, [&](std::size_t i, std::int64_t element) {
      flat[std::size_t(parameter.offset) + i] = value_of(parameter, element);
    });
  return flat;
}

/// Part `index` of `parts` of the flat buffer as an optimizer that is cut over data ranks holds it: each block's slice.
std::vector<parallel::Slice> block_ranges(const ParameterTable& table, int parts, int index) {
  std::vector<parallel::Slice> ranges;
  for (const ParameterBlock& block : table.blocks) {
    if (block.begin >= table.elements) continue;
    const parallel::Slice slice = parallel::balanced_slice(block.end - block.begin, parts, index);
    ranges.push_back({block.begin + slice.begin, block.begin + slice.end});
  }
  return ranges;
}

TEST(ParameterPieces, LoadsEachTensorWholeAtItsOffset) {
  const ParameterTable table = make_parameter_table(small_llama());
  std::vector<float> flat(std::size_t(table.elements), 0);
  const auto pieces = pieces_to_load(table, "parameters", flat);
  ASSERT_EQ(pieces.size(), table.parameters.size());
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    const Parameter& parameter = table.parameters[i];
    EXPECT_EQ(pieces[i].tensor.name, "parameters/" + parameter.name);
    EXPECT_EQ(pieces[i].tensor.shape, parameter.shape);
    EXPECT_EQ(pieces[i].box, parallel::whole_box(parameter.shape));
    EXPECT_EQ(pieces[i].values.data(), flat.data() + parameter.offset);
    EXPECT_EQ(std::ssize(pieces[i].values), pieces[i].box.elements());
  }
}

TEST(ParameterPieces, OfAnyNumberOfRanksWithTheSameValuesAreRowsThatTileEachTensorOnce) {
  const ParameterTable table = make_parameter_table(small_llama());
  const std::vector<float> flat = numbered(table);
  for (const int ranks : {1, 2, 3, 31, 300}) {
    std::map<std::string, std::vector<float>> gathered;
    std::map<std::string, std::int64_t> rows;
    for (int rank = 0; rank < ranks; ++rank) {
      for (const checkpoint::PieceToSave& piece :
           pieces_to_save(table, "adam_m", flat, row_ranges(table, ranks, rank))) {
        EXPECT_GT(piece.box.elements(), 0);
        EXPECT_EQ(piece.box.elements(), std::ssize(piece.values));
        EXPECT_EQ(piece.box.begin[0], rows[piece.tensor.name]) << piece.tensor.name << ", rank " << rank;
        rows[piece.tensor.name] += piece.box.size[0];
        auto& values = gathered[piece.tensor.name];
        values.insert(values.end(), piece.values.begin(), piece.values.end());
      }
    }
    ASSERT_EQ(gathered.size(), table.parameters.size());
    for (const Parameter& parameter : table.parameters) {
      const auto whole = std::span(flat).subspan(std::size_t(parameter.offset), std::size_t(parameter.elements));
      EXPECT_EQ(gathered["adam_m/" + parameter.name], std::vector<float>(whole.begin(), whole.end())) << parameter.name;
    }
  }
}

TEST(ParameterPieces, OfAllRanksOfEveryMeshTileEachTensorOnceWithItsValues) {
  for (const ModelSettings& model : models_to_share()) {
    const ParameterTable whole = make_parameter_table(model);
    for (const MeshShares& mesh : meshes_of(model))
      for (const int data : {1, 2, 3}) {
        if (data * std::ssize(mesh.tables) > 8) continue;
        std::map<std::string, std::vector<float>> gathered;
        for (const Parameter& parameter : whole.parameters)
          gathered["parameters/" + parameter.name].resize(std::size_t(parameter.elements), -1);
        for (const ParameterTable& table : mesh.tables) {
          const std::vector<float> flat = filled(table);
          for (int rank = 0; rank < data; ++rank)
            for (const auto& piece : pieces_to_save(table, "parameters", flat, block_ranges(table, data, rank)))
              for_each_element(piece.box, piece.tensor.shape, [&](std::size_t i, std::int64_t element) {
                float& value = gathered.at(piece.tensor.name).at(std::size_t(element));
                EXPECT_EQ(value, -1) << mesh.name << ": " << piece.tensor.name << " twice at " << element;
                value = piece.values[i];
              });
        }
        for (const Parameter& parameter : whole.parameters) {
          const auto& values = gathered.at("parameters/" + parameter.name);
          for (std::size_t i = 0; i < values.size(); ++i)
            ASSERT_EQ(values[i], value_of(parameter, std::int64_t(i))) << mesh.name << ": " << parameter.name;
        }
      }
  }
}

TEST(ParameterPieces, OfARangeAreAnEndOfARowWholeRowsAndABeginningOfOne) {
  const ParameterTable table = make_parameter_table(small_llama());
  const std::vector<float> flat = numbered(table);
  const parallel::Slice ranges[] = {{31, 157}};  // of the embedding's rows of 30
  const auto pieces = pieces_to_save(table, "parameters", flat, ranges);
  ASSERT_EQ(pieces.size(), 3U);
  EXPECT_EQ(pieces[0].box, (parallel::Box{{1, 1}, {1, 29}}));
  EXPECT_EQ(pieces[1].box, (parallel::Box{{2, 0}, {3, 30}}));
  EXPECT_EQ(pieces[2].box, (parallel::Box{{5, 0}, {1, 7}}));
  EXPECT_EQ(pieces[1].values.data(), flat.data() + 60);
}

TEST(ParameterPieces, PaddingRowsOfTheVocabularyAreInNoPiece) {
  const ParameterTable table = make_parameter_table(small_gpt2());
  ASSERT_GT(table.padded_vocabulary, table.model.vocabulary_size);
  const std::vector<float> flat = numbered(table);
  const auto pieces = pieces_to_save(table, "parameters", flat);
  EXPECT_EQ(pieces[0].tensor.name, "parameters/embedding.weight");
  EXPECT_EQ(std::ssize(pieces[0].values), table.model.vocabulary_size * table.model.width);
}

TEST(ParameterPieces, RefuseABufferOfAnotherModel) {
  const ParameterTable table = make_parameter_table(small_gpt2());
  std::vector<float> flat(std::size_t(table.gradient_elements));
  EXPECT_THROW(pieces_to_load(table, "parameters", flat), InternalError);
  EXPECT_THROW(pieces_to_save(table, "parameters", flat), InternalError);
}

ParallelSettings mesh(int data, int pipeline, int tensor, int chunks = 1) {
  ParallelSettings parallel;
  parallel.mesh = {.data = data, .pipeline = pipeline, .tensor = tensor};
  parallel.chunks_per_stage = chunks;
  return parallel;
}

/// Each rank keeps all parameters of its share, but of the moments only its data rank's part.
void save(const ModelSettings& model, const ParallelSettings& parallel, const std::filesystem::path& folder) {
  parallel::run_thread_ranks(parallel.mesh.ranks(), kDeadline_s, [&](parallel::Communicator& ranks) {
    const parallel::MeshCoordinate at = parallel::mesh_coordinate(parallel.mesh, ranks.rank());
    const ParameterTable table = make_parameter_table(model, model_share(model, parallel, at));
    const std::vector<float> flat = filled(table);
    const auto rows = row_ranges(table, parallel.mesh.data, at.data);
    const auto mine = block_ranges(table, parallel.mesh.data, at.data);
    auto pieces = pieces_to_save(table, "parameters", flat, rows);
    for (auto& piece : pieces_to_save(table, "adam_m", flat, mine)) pieces.push_back(std::move(piece));
    Log log(stderr, "test", LogLevel::kError);
    checkpoint::CheckpointStore(folder, "1", log).save({3, Json::object()}, pieces, ranks, {1});
  });
}

void expect_loaded(const ModelSettings& model, const ParallelSettings& parallel, const std::filesystem::path& folder) {
  parallel::run_thread_ranks(parallel.mesh.ranks(), kDeadline_s, [&](parallel::Communicator& ranks) {
    const parallel::MeshCoordinate at = parallel::mesh_coordinate(parallel.mesh, ranks.rank());
    const ParameterTable table = make_parameter_table(model, model_share(model, parallel, at));
    const std::vector<float> expected = filled(table);
    const auto mine = block_ranges(table, parallel.mesh.data, at.data);
    std::vector<float> flat(expected.size(), -1), moments = flat, expected_moments = flat;
    for (const parallel::Slice& range : mine)
      std::copy(expected.begin() + range.begin, expected.begin() + range.end, expected_moments.begin() + range.begin);
    auto pieces = pieces_to_load(table, "parameters", flat);
    for (auto& piece : pieces_to_load(table, "adam_m", moments, mine)) pieces.push_back(std::move(piece));
    Log log(stderr, "test", LogLevel::kError);
    const auto state = checkpoint::CheckpointStore(folder, "2", log).load_newest(pieces, ranks);
    ASSERT_TRUE(state);
    EXPECT_EQ(state->step, 3);
    EXPECT_EQ(flat, expected);
    EXPECT_EQ(moments, expected_moments);
  });
}

TEST(ParameterPieces, OfACheckpointOfOneMeshLoadOnAnother) {
  const std::vector<ParallelSettings> meshes = {mesh(1, 1, 1),    mesh(2, 1, 2), mesh(1, 2, 1), mesh(3, 1, 1),
                                                mesh(1, 2, 2, 2), mesh(2, 2, 2), mesh(1, 3, 2)};
  for (const std::size_t number : {2U, 5U}) {  // llama tied, gpt2 not
    const ModelSettings model = models_to_share()[number];
    for (std::size_t before = 0; before < meshes.size(); ++before) {
      const checkpoint::TemporaryFolder folder;
      save(model, meshes[before], folder.path());
      for (const std::size_t further : {0U, 1U, 4U})
        expect_loaded(model, meshes[(before + further) % meshes.size()], folder.path());
    }
  }
}

}  // namespace
}  // namespace stoa::trainer

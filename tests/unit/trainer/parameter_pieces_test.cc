#include "stoa/trainer/model/parameter_pieces.h"

#include <gtest/gtest.h>

#include <map>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/model_cases.h"

namespace stoa::trainer {
namespace {

/// Value i at element i, so that a misplaced piece cannot look right.
std::vector<float> numbered(const ParameterTable& table) {
  std::vector<float> flat(std::size_t(table.elements));
  for (std::size_t i = 0; i < flat.size(); ++i) flat[i] = static_cast<float>(i);
  return flat;
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

TEST(ParameterPieces, PiecesOfAnyNumberOfRanksTileEachTensorOnce) {
  const ParameterTable table = make_parameter_table(small_llama());
  const std::vector<float> flat = numbered(table);
  for (const int ranks : {1, 2, 3, 31, 300}) {
    std::map<std::string, std::vector<float>> gathered;
    std::map<std::string, std::int64_t> rows;
    for (int rank = 0; rank < ranks; ++rank) {
      for (const checkpoint::PieceToSave& piece : pieces_to_save(table, "adam_m", flat, ranks, rank)) {
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

TEST(ParameterPieces, PaddingRowsOfTheVocabularyAreInNoPiece) {
  const ParameterTable table = make_parameter_table(small_gpt2());
  ASSERT_GT(table.padded_vocabulary, table.model.vocabulary_size);
  const std::vector<float> flat = numbered(table);
  const auto pieces = pieces_to_save(table, "parameters", flat, 1, 0);
  EXPECT_EQ(pieces[0].tensor.name, "parameters/embedding.weight");
  EXPECT_EQ(std::ssize(pieces[0].values), table.model.vocabulary_size * table.model.width);
}

TEST(ParameterPieces, RefuseABufferOfAnotherModel) {
  const ParameterTable table = make_parameter_table(small_gpt2());
  std::vector<float> flat(std::size_t(table.gradient_elements));
  EXPECT_THROW(pieces_to_load(table, "parameters", flat), InternalError);
  EXPECT_THROW(pieces_to_save(table, "parameters", flat, 1, 0), InternalError);
}

}  // namespace
}  // namespace stoa::trainer

#pragma once
/// A small model of odd shapes, cut over any number of ranks along the first or the last dim, whose values follow from
/// the step, the tensor and the element: random bits, NaN with payloads among them, so that only the same bits compare
/// equal.
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/checkpoint/tensor_piece.h"

namespace stoa::checkpoint {

/// An empty folder, removed with all it holds.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "stoa-checkpoint-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw StorageError("mkdtemp failed");
    path_ = name;
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

enum class Cut { kFirstDim, kLastDim };

inline float small_model_value(std::int64_t step, const std::string& name, std::int64_t element) {
  const std::int64_t key[2] = {step, element};
  const std::uint64_t name_hash = xxh3_64(std::as_bytes(std::span(name)));
  const auto bits = static_cast<std::uint32_t>(xxh3_64(std::as_bytes(std::span(key)), name_hash));
  float value;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

/// What one rank holds.
class SmallModel {
 public:
  static std::vector<GlobalTensor> tensors() {
    return {{"parameters/scale", DType::kFloat32, {}},
            {"parameters/one", DType::kFloat32, {1}},
            {"parameters/layers.0.weight", DType::kFloat32, {33, 65}},
            {"adam_m/layers.0.weight", DType::kFloat32, {33, 65}},
            {"parameters/bias", DType::kFloat32, {257}},
            {"parameters/cube", DType::kFloat32, {5, 3, 7}}};
  }

  SmallModel(int rank, int ranks, Cut cut, const std::vector<GlobalTensor>& all = tensors()) {
    for (const GlobalTensor& tensor : all) {
      const std::vector<std::int64_t>& shape = tensor.shape;
      if (shape.empty() && rank > 0) continue;
      const int dim = cut == Cut::kFirstDim ? 0 : static_cast<int>(shape.size()) - 1;
      const parallel::Placement placement{parallel::PlacementKind::kSharded, dim};
      const parallel::Box box =
          shape.empty() ? parallel::whole_box(shape) : parallel::shard_box(shape, placement, ranks, rank);
      pieces_.push_back({tensor, box, std::vector<float>(static_cast<std::size_t>(box.elements()))});
    }
  }

  void fill(std::int64_t step) {
    for (Piece& piece : pieces_)
      for (std::size_t i = 0; i < piece.values.size(); ++i) piece.values[i] = expected(piece, step, i);
  }

  /// The first value that is not of this step, as text; empty where all are.
  std::string difference(std::int64_t step) const {
    for (const Piece& piece : pieces_)
      for (std::size_t i = 0; i < piece.values.size(); ++i) {
        const float wanted = expected(piece, step, i);
        if (std::memcmp(&wanted, &piece.values[i], sizeof wanted) != 0)
          return fmt::format("{} element {} of its piece", piece.tensor.name, i);
      }
    return {};
  }

  std::vector<PieceToSave> to_save() const {
    std::vector<PieceToSave> pieces;
    for (const Piece& piece : pieces_) pieces.push_back({piece.tensor, piece.box, piece.values});
    return pieces;
  }
  std::vector<PieceToLoad> to_load() {
    std::vector<PieceToLoad> pieces;
    for (Piece& piece : pieces_) pieces.push_back({piece.tensor, piece.box, piece.values});
    return pieces;
  }

 private:
  struct Piece {
    GlobalTensor tensor;
    parallel::Box box;
    std::vector<float> values;
  };

  static float expected(const Piece& piece, std::int64_t step, std::size_t index_in_piece) {
    auto rest = static_cast<std::int64_t>(index_in_piece);
    std::int64_t element = 0, stride = 1;
    for (std::size_t d = piece.tensor.shape.size(); d-- > 0;) {
      element += (piece.box.begin[d] + rest % piece.box.size[d]) * stride;
      rest /= piece.box.size[d];
      stride *= piece.tensor.shape[d];
    }
    return small_model_value(step, piece.tensor.name, element);
  }

  std::vector<Piece> pieces_;
};

}  // namespace stoa::checkpoint

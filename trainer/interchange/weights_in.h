#pragma once
/// Safetensors files of the transformers library as pieces of a checkpoint: never the whole model in memory.
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "stoa/checkpoint/safetensors_reader.h"
#include "stoa/checkpoint/shard_writer.h"
#include "stoa/trainer/interchange/foreign_tensors.h"

namespace stoa::trainer {

/// Checks that the files hold this model's tensors, and makes each parameter's values when it is asked for them.
class WeightsIn {
 public:
  /// DataError that names a tensor which is missing, of another shape or dtype, or which the model does not have; and
  /// where a tied head is stored with other values than the embedding. Borrows `files`.
  WeightsIn(const checkpoint::SafetensorsModel& files, const ModelSettings& resolved_model);
  WeightsIn(const WeightsIn&) = delete;
  WeightsIn& operator=(const WeightsIn&) = delete;

  /// Pieces of PREFIX "parameters/" that tile every parameter, none above 32 MiB as far as a row allows. They borrow
  /// this. `progress` (fraction of the values made) may be empty.
  std::vector<checkpoint::PieceToProduce> pieces(std::function<void(double)> progress);

 private:
  using Stored = checkpoint::SafetensorsModel::Tensor;
  struct Source {
    ForeignTensor tensor;
    Stored stored;
  };
  void add_plain(const Source& source, std::vector<checkpoint::PieceToProduce>& pieces);
  void add_transposed(const Source& source, std::vector<checkpoint::PieceToProduce>& pieces);
  /// Rows of a transposed tensor as they stand in its file, until others are asked for.
  std::span<const float> slab(const Source& source, std::int64_t first_row, std::int64_t rows);
  void count(std::int64_t elements);

  std::vector<Source> sources_;
  std::vector<float> slab_;
  const Source* slab_source_ = nullptr;
  std::int64_t slab_row_ = -1;
  std::function<void(double)> progress_;
  std::int64_t elements_ = 0;
  std::int64_t made_ = 0;
};

}  // namespace stoa::trainer

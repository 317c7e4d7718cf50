#pragma once
/// A model's parameters (or their gradients) in one piece, put together from what the ranks of any layout hold.
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "stoa/parallel/communicator.h"
#include "stoa/trainer/loop/training_step.h"

namespace stoa::trainer {

struct WholeTensor {
  std::vector<std::int64_t> shape;
  std::vector<float> values;  ///< row-major

  std::int64_t rows() const { return shape.front(); }
  std::span<const float> row(std::int64_t index) const;
};
/// By the global name, "layers.0.attention.query.weight".
using WholeTensors = std::map<std::string, WholeTensor>;

/// What one rank brings.
struct RankValues {
  const ParameterTable& table;
  const FlatRanges& held;         ///< whose values are here
  const FlatRanges& counted;      ///< of them, what this rank speaks for among the data ranks of its share
  std::span<const float> values;  ///< at the table's flat offsets
};

/// Collective over the job; the result is on rank 0 and empty elsewhere. InternalError on every rank, naming parameter
/// and element, where the counted pieces do not tile each tensor exactly once, and where two ranks that hold the same
/// element hold other bits.
WholeTensors gather_whole(parallel::Communicator& job, const RankValues& mine);

/// The gradients behind TrainingStep::run, and the masters at any time. Where nothing is cut over the data ranks, each
/// speaks for a slice of the rows.
WholeTensors gather_gradients(TrainingStep& step);
WholeTensors gather_masters(TrainingStep& step);

}  // namespace stoa::trainer

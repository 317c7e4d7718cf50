#include "stoa/trainer/verification/whole_tensors.h"

#include <fmt/format.h>

#include <bit>
#include <cstddef>
#include <numeric>

#include "stoa/base/error.h"
#include "stoa/trainer/model/parameter_parts.h"

namespace stoa::trainer {
namespace {

/// A box of a parameter, as it goes from rank to rank; its values follow those of the boxes before it.
struct Piece {
  std::int64_t number = 0;  ///< of the parameter in the whole model
  std::int64_t row = 0, column = 0, rows = 0, columns = 0;
  std::int64_t is_counted = 0;
};

struct Pieces {
  std::vector<Piece> pieces;
  std::vector<float> values;
};

Piece piece_of(const Parameter& parameter, const parallel::Box& box, bool is_counted) {
  const bool matrix = box.begin.size() > 1;
  return {.number = std::int64_t(parameter.number),
          .row = box.begin[0],
          .column = matrix ? box.begin[1] : 0,
          .rows = box.size[0],
          .columns = matrix ? box.size[1] : 1,
          .is_counted = is_counted};
}

void add_pieces(const RankValues& mine, const FlatRanges& ranges, bool is_counted, Pieces& pieces) {
  for (const ParameterPart& part : parameter_parts(mine.table, ranges, mine.values.size())) {
    const Parameter& parameter = mine.table.parameters[part.parameter];
    pieces.pieces.push_back(piece_of(parameter, part.box, is_counted && parameter.counted_here));
    const auto values = mine.values.subspan(std::size_t(part.offset), std::size_t(part.box.elements()));
    pieces.values.insert(pieces.values.end(), values.begin(), values.end());
  }
}

/// Of all ranks, one behind the other.
template <typename T>
std::vector<T> gather(parallel::Communicator& job, const std::vector<T>& mine, std::string_view what) {
  std::vector<std::size_t> parts(std::size_t(job.size()));
  const std::size_t bytes = mine.size() * sizeof(T);
  job.all_gather(std::as_bytes(std::span(&bytes, 1)), std::as_writable_bytes(std::span(parts)), what);
  std::vector<T> all(std::reduce(parts.begin(), parts.end()) / sizeof(T));
  const std::size_t begin = std::reduce(parts.begin(), parts.begin() + job.rank()) / sizeof(T);
  std::copy(mine.begin(), mine.end(), all.begin() + std::ptrdiff_t(begin));
  job.all_gather_parts(std::as_writable_bytes(std::span(all)), parts, what);
  return all;
}

/// Puts pieces together and holds them against each other.
class Assembly {
 public:
  explicit Assembly(const ModelSettings& model) {
    for (Parameter& parameter : make_parameter_table(model).parameters) {
      const auto elements = std::size_t(parallel::whole_box(parameter.shape).elements());
      if (targets_.size() <= parameter.number) targets_.resize(parameter.number + 1);
      targets_[parameter.number] = {
          std::move(parameter.name), {parameter.shape, std::vector<float>(elements)}, std::vector<int>(elements)};
    }
  }

  void put(const Pieces& all) {
    each(all, [](Target& target, bool is_counted, std::size_t element, float value) {
      if (!is_counted) return;
      if (++target.times[element] > 1) throw InternalError("{}: two ranks count element {}", target.name, element);
      target.tensor.values[element] = value;
    });
    for (const Target& target : targets_)
      for (std::size_t i = 0; i < target.times.size(); ++i)
        if (target.times[i] == 0) throw InternalError("{}: no rank counts element {}", target.name, i);
  }

  void expect_copies(const Pieces& all) {
    each(all, [](const Target& target, bool, std::size_t element, float value) {
      const float counted = target.tensor.values[element];
      if (std::bit_cast<std::uint32_t>(counted) != std::bit_cast<std::uint32_t>(value))
        throw InternalError("{}: two ranks that hold element {} disagree: {} and {}", target.name, element, counted,
                            value);
    });
  }

  WholeTensors take() {
    WholeTensors tensors;
    for (Target& target : targets_) tensors[target.name] = std::move(target.tensor);
    return tensors;
  }

 private:
  struct Target {
    std::string name;
    WholeTensor tensor;
    std::vector<int> times;  ///< that each element was counted
  };

  template <typename Body>
  void each(const Pieces& all, const Body& body) {
    std::size_t at = 0;
    for (const Piece& piece : all.pieces) {
      Target& target = targets_.at(std::size_t(piece.number));
      const std::int64_t stride = target.tensor.shape.size() > 1 ? target.tensor.shape[1] : 1;
      for (std::int64_t row = piece.row; row < piece.row + piece.rows; ++row)
        for (std::int64_t column = piece.column; column < piece.column + piece.columns; ++column)
          body(target, piece.is_counted != 0, std::size_t(row * stride + column), all.values[at++]);
    }
  }

  std::vector<Target> targets_;  ///< by the parameter's number
};

/// What this rank speaks for among the data ranks that hold the same share.
FlatRanges counted_ranges(TrainingStep& step) {
  const TrainingState& state = step.state();
  if (state.plan().zero == Zero::kNone) return row_ranges(step.table(), step.groups().size.data, step.groups().at.data);
  return state.owned();
}

WholeTensors gather_owned(TrainingStep& step, std::span<const float> flat) {
  const FlatRanges counted = counted_ranges(step);
  const auto values = flat.first(std::size_t(step.table().elements));
  return gather_whole(step.groups().job, {step.table(), step.state().owned(), counted, values});
}

}  // namespace

std::span<const float> WholeTensor::row(std::int64_t index) const {
  const std::size_t columns = values.size() / std::size_t(rows());
  return std::span(values).subspan(std::size_t(index) * columns, columns);
}

WholeTensors gather_whole(parallel::Communicator& job, const RankValues& mine) {
  Pieces pieces;
  add_pieces(mine, mine.counted, true, pieces);
  add_pieces(mine, mine.held, false, pieces);
  const Pieces all = {gather(job, pieces.pieces, "pieces of tensors"), gather(job, pieces.values, "their values")};
  Assembly assembly(mine.table.model);
  assembly.put(all);
  assembly.expect_copies(all);
  return job.rank() == 0 ? assembly.take() : WholeTensors();
}

WholeTensors gather_gradients(TrainingStep& step) { return gather_owned(step, step.state().gradients()); }
WholeTensors gather_masters(TrainingStep& step) { return gather_owned(step, step.state().masters()); }

}  // namespace stoa::trainer

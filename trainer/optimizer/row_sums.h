#pragma once
/// Sums over the data ranks of a gradient most of whose rows are zero on every rank, as an embedding's are: a
/// micro-batch touches the rows of its tokens. Only rows that some rank has touched are sent, packed, in bounded
/// pieces. A row is touched where any of its bits is set (-0 is), and +0 + +0 = +0, so the bits are those of the sum of
/// everything.
///
/// The ranks gather which rows they have touched; where those of all are more than half, everything is summed as it is.
/// Both follow from what was gathered, so all ranks do the same.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "stoa/parallel/communicator.h"
#include "stoa/parallel/shard.h"

namespace stoa::trainer {

/// A gradient of `elements` values, row by row; the last row may be shorter.
struct RowShape {
  std::int64_t elements = 0;
  std::int64_t width = 0;
  std::int64_t rows() const { return (elements + width - 1) / width; }
};

class RowSums {
 public:
  /// Collective. `packed_elements`: the most that is sent at a time; at least one for each rank are.
  RowSums(parallel::Communicator& data, const RowShape& shape, std::int64_t packed_elements);
  static std::size_t memory_bytes(const RowShape& shape, std::int64_t packed_elements, int ranks);

  /// The same as those of Communicator. `data` is the group that the memory is of; terms.size() = shape.elements.
  void all_reduce(parallel::Communicator& data, std::span<float> terms);
  void reduce_scatter(parallel::Communicator& data, std::span<float> terms, std::span<const std::size_t> parts,
                      std::span<float> mine);

  /// Of all ranks, in the last sum.
  std::int64_t touched_rows() const { return touched_rows_; }

 private:
  bool few_are_touched(parallel::Communicator& data, std::span<const float> terms);
  void mark_touched(std::span<const float> terms, std::span<std::uint64_t> mask) const;
  void unite_masks();
  void add_run(std::int64_t row);

  RowShape shape_;
  std::size_t mask_words_;
  std::unique_ptr<parallel::CommunicatorMemory> memory_;
  std::span<float> packed_;
  std::vector<std::uint64_t> mask_, masks_;  ///< of this rank; of all, one behind the other
  std::vector<parallel::Slice> runs_;        ///< touched elements, in ascending order, none that touch
  std::int64_t touched_rows_ = 0;
};

}  // namespace stoa::trainer

#pragma once
/// Gradients that are terms of a sum on the tensor axis (Parameter::gradient is kPartial): what every tensor rank
/// holds, summed over all of them, and what some neighbours hold copies of, summed over those. One all-reduce a step
/// through one buffer, in which every distinct slice has its place: a rank's values stand in the place of its slice
/// and zeros in the others.
#include <memory>
#include <vector>

#include "stoa/parallel/communicator.h"
#include "stoa/trainer/model/parameter_table.h"
#include "stoa/trainer/optimizer/flat_ranges.h"

namespace stoa::trainer {

class PartialGradients {
 public:
  /// Collective over the tensor group, which gives the memory. `owned`: the gradients that this data rank has. Borrows
  /// the group.
  PartialGradients(const ParameterTable& table, const FlatRanges& owned, parallel::Communicator& tensor);
  static std::size_t memory_bytes(const ParameterTable& table, const FlatRanges& owned);

  /// Collective over the tensor group. `gradients`: at the table's flat offsets.
  void sum(std::span<float> gradients);

 private:
  /// A run of owned elements and its place in the buffer.
  struct Place {
    parallel::Slice run;
    std::int64_t at = 0;
  };
  static std::vector<Place> places_of(const ParameterTable& table, const FlatRanges& owned, std::int64_t& elements);

  parallel::Communicator& tensor_;
  std::int64_t elements_ = 0;
  std::vector<Place> places_;
  std::unique_ptr<parallel::CommunicatorMemory> memory_;
};

}  // namespace stoa::trainer

#pragma once
/// The sum of a bucket of gradients over the data ranks, each bucket in the way that suits it: of an embedding's the
/// rows that are touched, of any other everything. For the work that GradientReductions give to the background.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "stoa/trainer/optimizer/gradient_reduction.h"
#include "stoa/trainer/optimizer/row_sums.h"

namespace stoa::trainer {

class RankSums {
 public:
  /// Collective over the data group.
  RankSums(const GradientParts& parts, const GradientSettings& settings);
  /// Adds what the constructor allocates.
  static void plan_memory(const ParameterTable& table, const BucketPlan& plan, const GradientSettings& settings,
                          MemoryTable& memory);

  /// Elements of gradients that no other rank reads, because a step's tokens cannot touch more than half of the rows.
  static std::int64_t unread_elements(const ParameterTable& table, const BucketPlan& plan,
                                      const GradientSettings& settings);

  /// Of bucket number `bucket`; else as Communicator's. On the background's thread.
  void all_reduce(parallel::Communicator& data, std::size_t bucket, std::span<float> terms);
  void reduce_scatter(parallel::Communicator& data, std::size_t bucket, std::span<float> terms,
                      std::span<const std::size_t> parts, std::span<float> mine);

 private:
  std::size_t embedding_bucket_ = 0;
  std::optional<RowSums> rows_;  ///< of the embedding's bucket
};

}  // namespace stoa::trainer

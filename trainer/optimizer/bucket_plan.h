#pragma once
/// How a rank's blocks of parameters are grouped into buckets, and how each bucket is cut over the data axis: the one
/// place that says which data rank owns what. Gradient sums, updates, gathering of parameters, initial weights and
/// checkpoints ask it. Pure.
#include <cstdint>
#include <vector>

#include "stoa/trainer/model/parameter_table.h"
#include "stoa/trainer/optimizer/flat_ranges.h"

namespace stoa::trainer {

/// Of fp32 gradients.
inline constexpr std::int64_t kBucketBytes = std::int64_t{16} << 20;

/// Neighbouring layers of one chunk, or one other block: what completes in one pass and is reduced as one.
struct Bucket {
  std::int64_t begin = 0, end = 0;              ///< flat offsets
  std::size_t first_block = 0, last_block = 0;  ///< both inside
  std::vector<std::int64_t> cuts;               ///< flat offsets; part r is [cuts[r], cuts[r + 1])

  std::int64_t elements() const { return end - begin; }
  std::size_t blocks() const { return last_block - first_block + 1; }
  parallel::Slice part(int data_rank) const { return {cuts[std::size_t(data_rank)], cuts[std::size_t(data_rank) + 1]}; }
  /// Elements of each part inside [slice).
  std::vector<std::size_t> part_elements(const parallel::Slice& slice) const;
};

struct BucketSettings {
  Zero zero = Zero::kNone;
  int data_ranks = 1;
  std::int64_t bucket_bytes = kBucketBytes;  ///< a bucket of layers takes one more until it has as many
};

struct BucketPlan {
  Zero zero = Zero::kNone;  ///< kNone where there is one data rank: nothing is cut
  int data_ranks = 1;
  std::int64_t elements = 0;    ///< of parameters and moments (ParameterTable)
  std::vector<Bucket> buckets;  ///< in the order in which the backward pass completes them
  std::vector<std::size_t> bucket_of_block;

  /// Of the gradients (the head's part of a tied one too): everything, or this rank's part of each bucket.
  FlatRanges owned_gradients(int data_rank) const;
  /// Of masters and moments. This rank updates them.
  FlatRanges owned(int data_rank) const;
};

/// Cuts stand where a chunk of the norm begins: every kNormChunk elements of each parameter; the padding behind a
/// parameter belongs to its last chunk. Parts are as equal as that permits. The cut is that of tensor rank 0's table,
/// chunk by chunk, so that parameters of which several tensor ranks hold the same values have the same owner on each;
/// both copies (or both gradients) of a tied embedding are cut alike.
BucketPlan make_bucket_plan(const ParameterTable& table, const BucketSettings& settings);

}  // namespace stoa::trainer

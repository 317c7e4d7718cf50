#pragma once
/// After an update each data rank has new values in its own ranges alone; this brings them to all, bucket by bucket in
/// the order of the forward pass, in the background, so that the pass waits for what it needs next and no more.
#include <vector>

#include "stoa/parallel/background.h"
#include "stoa/trainer/model/gradient_sink.h"
#include "stoa/trainer/model/model_parameters.h"
#include "stoa/trainer/optimizer/bucket_plan.h"
#include "stoa/trainer/optimizer/pending_work.h"

namespace stoa::trainer {

/// In fp32 masters are gathered; in bf16 the copies of each bucket and the masters of what is read in fp32. With
/// Zero::kNone there is nothing to do.
class ParameterGathering final : public ParameterGate {
 public:
  /// Borrows all.
  ParameterGathering(const ParameterTable& table, const BucketPlan& plan, ModelParameters& parameters,
                     parallel::Background& data);

  /// Collective over the data group. The owned values stand still until they are awaited.
  void start();
  /// Returns when the block's parameters are here.
  void await(std::size_t block) override;
  void await_all() { pending_.wait_for_all(); }

 private:
  /// A contiguous piece of the flat buffers, and how many of its bytes each rank brings.
  struct Piece {
    std::span<std::byte> bytes;
    std::vector<std::size_t> parts;
  };
  template <typename T>
  static Piece piece_of(const Bucket& bucket, std::span<T> flat, const parallel::Slice& slice);
  std::vector<Piece> pieces_of(const Bucket& bucket);

  const ParameterTable& table_;
  const BucketPlan& plan_;
  ModelParameters& parameters_;
  std::vector<std::vector<Piece>> pieces_;  ///< of each bucket
  std::vector<parallel::Background::Ticket> tickets_;
  PendingWork pending_;
};

}  // namespace stoa::trainer

#pragma once
/// Elements that two dense boxes of one tensor share, as runs that are contiguous in both.
#include <cstdint>
#include <vector>

#include "stoa/parallel/shard.h"

namespace stoa::checkpoint {

/// `count` elements at element `from` of one box and element `to` of the other.
struct Run {
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::int64_t count = 0;
};

/// Walks the runs of a shared box in ascending order of both `from` and `to`.
class RunWalk {
 public:
  /// REQUIRES: `shared` is not empty and lies inside both boxes. Borrows the three.
  RunWalk(const parallel::Box& shared, const parallel::Box& from, const parallel::Box& to)
      : shared_(shared), from_(from), to_(to), outer_dims_(shared.begin.size()) {
    // A dim that is whole in both boxes joins the run of the dims inside it.
    bool whole = true;
    while (outer_dims_ > 0 && whole) {
      --outer_dims_;
      count_ *= shared.size[outer_dims_];
      whole = shared.size[outer_dims_] == from.size[outer_dims_] && shared.size[outer_dims_] == to.size[outer_dims_];
    }
    index_.assign(outer_dims_, 0);
  }

  bool done() const { return done_; }
  Run run() const { return {offset_in(from_), offset_in(to_), count_}; }
  void next() {
    for (std::size_t d = outer_dims_; d > 0; --d) {
      if (++index_[d - 1] < shared_.size[d - 1]) return;
      index_[d - 1] = 0;
    }
    done_ = true;
  }

 private:
  std::int64_t offset_in(const parallel::Box& box) const {
    std::int64_t offset = 0;
    for (std::size_t d = 0; d < shared_.begin.size(); ++d)
      offset = offset * box.size[d] + shared_.begin[d] - box.begin[d] + (d < outer_dims_ ? index_[d] : 0);
    return offset;
  }

  const parallel::Box& shared_;
  const parallel::Box& from_;
  const parallel::Box& to_;
  std::size_t outer_dims_;
  std::int64_t count_ = 1;
  std::vector<std::int64_t> index_;
  bool done_ = false;
};

}  // namespace stoa::checkpoint

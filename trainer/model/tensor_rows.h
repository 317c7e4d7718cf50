#pragma once
/// The rows (tokens) of a micro-batch on the tensor axis: each rank holds its balanced slice of them, products read all
/// of them, and what is a sum over ranks is scattered back. Communication can go on while this rank computes.
///
/// Sequence parallelism, arXiv 2205.05198: gathering forward is scattering backward and the other way round.
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "stoa/parallel/background.h"
#include "stoa/parallel/shard.h"
#include "stoa/trainer/optimizer/pending_work.h"

namespace stoa::trainer {

class TensorRows {
 public:
  using Ticket = parallel::Background::Ticket;

  /// A null group: one rank.
  explicit TensorRows(std::unique_ptr<parallel::Communicator> group);

  int parts() const { return parts_; }
  int index() const { return index_; }
  bool cut() const { return parts_ > 1; }
  parallel::Slice slice(std::int64_t rows) const { return parallel::balanced_slice(rows, parts_, index_); }

  /// Memory in which gathering and scattering are fastest, until the end of this object, which waits for what was
  /// started. Once. Collective. REQUIRES: cut().
  std::span<std::byte> allocate(std::size_t bytes, std::string_view what);

  /// all_nc: N rows of which this rank's stand in their place; afterwards all do.
  template <typename T>
  Ticket start_gather(std::span<T> all_nc, std::int64_t rows, std::string_view what) {
    return start_gather_bytes(std::as_writable_bytes(all_nc), rows, what);
  }
  template <typename T>
  void gather(std::span<T> all_nc, std::int64_t rows, std::string_view what) {
    wait(start_gather(all_nc, rows, what));
  }
  /// terms_nc: this rank's terms of a sum of N rows; afterwards its own rows of the sum stand in their place.
  Ticket start_scatter(std::span<float> terms_nc, std::int64_t rows, std::string_view what);
  void scatter(std::span<float> terms_nc, std::int64_t rows, std::string_view what) {
    wait(start_scatter(terms_nc, rows, what));
  }
  /// `all` is the ranks' values one after another, in rank order.
  template <typename T>
  void gather_equal(std::span<const T> mine, std::span<T> all, std::string_view what) {
    gather_equal_bytes(std::as_bytes(mine), std::as_writable_bytes(all), what);
  }
  void wait(Ticket ticket);

 private:
  Ticket start_gather_bytes(std::span<std::byte> all, std::int64_t rows, std::string_view what);
  void gather_equal_bytes(std::span<const std::byte> mine, std::span<std::byte> all, std::string_view what);
  std::vector<std::size_t> sizes(std::int64_t rows, std::size_t size_of_row) const;

  int parts_ = 1, index_ = 0;
  std::unique_ptr<parallel::Background> group_;
  std::unique_ptr<parallel::CommunicatorMemory> memory_;
  std::optional<PendingWork> pending_;
};

}  // namespace stoa::trainer

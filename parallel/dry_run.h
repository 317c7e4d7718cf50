#pragma once
/// Any rank of a job of any size, without the others: calls return at once and what they would have sent is counted.
/// For planning: a training step over it shows the traffic of that rank.
///
/// Values stay as they are: what would come from others is zero (gathers, messages, broadcasts from another rank) or
/// the rank's own (sums, maxima). An agreement is what this rank says.
///
/// Bytes sent are those of MpiMessages: a reduce-scatter sends each part to its rank, a gather the own part to each
/// rank; an all-reduce is both; a broadcast is counted at its root.
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/parallel/communicator.h"

namespace stoa::parallel {

/// What one rank sends, for each group, collective and `what`. Several threads may use it.
class TrafficLog {
 public:
  struct Key {
    std::string group, collective, what;
    auto operator<=>(const Key&) const = default;
  };
  struct Traffic {
    std::uint64_t calls = 0, messages = 0, bytes = 0;
    bool operator==(const Traffic&) const = default;
  };

  void add(const Key& key, const Traffic& traffic);
  std::map<Key, Traffic> entries() const;
  std::uint64_t total_bytes() const;

 private:
  mutable std::mutex mutex_;
  std::map<Key, Traffic> entries_;
};

class DryRun final : public Communicator {
 public:
  /// The colour that a rank of the job gives when a group of this name is split off: what the other ranks would have
  /// said. make_mesh_groups asks with the names and colours of mesh_colour().
  using ColourOf = std::function<int(int rank_of_job, std::string_view name)>;

  /// The log outlives it and its split groups. REQUIRES: 0 <= rank < size.
  DryRun(int rank, int size, TrafficLog& log, ColourOf colour_of);

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(members().size()); }

 private:
  DryRun(std::string_view name, std::vector<int> members, int rank, TrafficLog& log, ColourOf colour_of);

  void count(std::uint64_t messages, std::uint64_t bytes);
  void count_reduction(std::size_t size_bytes);
  void do_barrier() override;
  void do_all_reduce(std::span<float> values, ReduceOp op) override;
  void do_all_reduce(std::span<double> values, ReduceOp op) override;
  void do_all_reduce(std::span<std::int64_t> values, ReduceOp op) override;
  void do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) override;
  void do_broadcast(std::span<std::byte> bytes, int root) override;
  void do_reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts, std::span<float> mine) override;
  void do_all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts) override;
  void do_send(std::span<const std::byte> bytes, int to) override;
  void do_receive(std::span<std::byte> bytes, int from) override;
  std::unique_ptr<Communicator> do_split(std::span<const std::int64_t> colours, std::string_view name) override;

  int rank_;
  TrafficLog& log_;
  ColourOf colour_of_;
};

}  // namespace stoa::parallel

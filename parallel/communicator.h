#pragma once
/// One group of ranks and its collectives. One-rank is the readable specification; thread ranks, MPI (and later dry-run
/// and NCCL) pass the same conformance suite.
///
/// Every rank of the group makes the same calls in the same order with the same sizes. A call returns when this rank
/// may go on. Each call carries `what`, a short constant text ("gradients"), for the ledger that a hang report prints,
/// and has a deadline: when it passes, CommError names the call and its number in the sequence. After a CommError the
/// group is broken: every further call throws. One thread a rank at a time.
///
/// A maximum or minimum over values of which one is NaN is NaN.
///
/// Sums have ONE order: along the binary tree over rank numbers that tree_order.h defines. So every implementation, on
/// any machine, gives the same bits.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "stoa/parallel/collective_ledger.h"

namespace stoa::parallel {

enum class ReduceOp { kSum, kMax, kMin };

/// Memory handed out by Communicator::allocate; freed with it. Zeroed, aligned to 64 bytes at least (huge pages where
/// large). Must be destroyed before its communicator, by all ranks in the same order.
class CommunicatorMemory {
 public:
  virtual ~CommunicatorMemory() = default;
  virtual std::span<std::byte> bytes() = 0;
};

class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Rank and number of ranks on this node, for pinning threads and choosing devices.
  virtual int local_rank() const { return 0; }
  virtual int local_size() const { return 1; }

  void barrier(std::string_view what);
  void all_reduce(std::span<float> values, ReduceOp op, std::string_view what);
  void all_reduce(std::span<double> values, ReduceOp op, std::string_view what);
  void all_reduce(std::span<std::int64_t> values, ReduceOp op, std::string_view what);
  /// `all` is size() parts of mine.size() bytes in rank order.
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string_view what);
  void broadcast(std::span<std::byte> bytes, int root, std::string_view what);

  /// True where every rank said true. Before any step that needs everyone: a failure on one rank becomes a decision of
  /// all.
  bool all_agree(bool mine, std::string_view what);

  /// Collective. Memory from which all_reduce is fastest (shared between the ranks of a node under MPI). The default is
  /// ordinary memory of this rank.
  virtual std::unique_ptr<CommunicatorMemory> allocate(std::size_t bytes, std::string_view what);

  const CollectiveLedger& ledger() const { return ledger_; }

 protected:
  explicit Communicator(double deadline_s) : deadline_s_(deadline_s) {}
  double deadline_s() const { return deadline_s_; }

  /// Runs one collective: throws CommError when the group is broken, writes the ledger, breaks the group when body
  /// throws. A CommError of body need not name the call: that is added here.
  template <typename Body>
  void run_call(std::string_view collective, std::string_view what, std::size_t size_bytes, Body&& body) {
    begin_call(collective, what, size_bytes);
    try {
      body();
    } catch (...) {
      fail_call();
    }
    ledger_.end(call_number_);
  }

  /// When the deadline of the call under way passes.
  std::chrono::steady_clock::time_point call_deadline() const { return call_deadline_; }
  /// Once an exception has left a call.
  bool is_broken() const { return !broken_.empty(); }

 private:
  [[noreturn]] void fail_call();
  void begin_call(std::string_view collective, std::string_view what, std::size_t size_bytes);

  virtual void do_barrier() = 0;
  virtual void do_all_reduce(std::span<float> values, ReduceOp op) = 0;
  virtual void do_all_reduce(std::span<double> values, ReduceOp op) = 0;
  virtual void do_all_reduce(std::span<std::int64_t> values, ReduceOp op) = 0;
  virtual void do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;
  virtual void do_broadcast(std::span<std::byte> bytes, int root) = 0;

  double deadline_s_;
  CollectiveLedger ledger_;
  std::string broken_;
  std::string_view call_collective_;
  std::string_view call_what_;
  std::uint64_t call_number_ = 0;
  std::chrono::steady_clock::time_point call_deadline_;
};

}  // namespace stoa::parallel

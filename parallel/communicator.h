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
/// A rank in here is a rank of this group; errors and the ledger name the ranks of the job (members()).
///
/// Sums have ONE order: along the binary tree over rank numbers that tree_order.h defines. So every implementation, on
/// any machine, gives the same bits.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/parallel/collective_ledger.h"
#include "stoa/parallel/patience.h"

namespace stoa::parallel {

/// What ends a call because another rank had failed or given up before: this rank found nothing out itself.
class BrokenByAnother : public CommError {
 public:
  using CommError::CommError;
};

enum class ReduceOp { kSum, kMax, kMin };

/// Memory handed out by Communicator::allocate; freed with it. Zeroed, aligned to 64 bytes at least (huge pages where
/// large). Must be destroyed before its communicator, by all ranks in the same order, and not during a call.
class CommunicatorMemory {
 public:
  virtual ~CommunicatorMemory() = default;
  virtual std::span<std::byte> bytes() = 0;
};

class Communicator;

/// What the groups of one rank share: what their report is made of, and who of them lives.
class RankGroups {
 public:
  LedgerBook book;
  void enter(Communicator& group);
  void leave(Communicator& group);
  void interrupt(std::string_view reason);

 private:
  std::mutex mutex_;
  std::vector<Communicator*> living_;
};

class Communicator {
 public:
  virtual ~Communicator();
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Rank and number of ranks on this node, for pinning threads and choosing devices.
  virtual int local_rank() const { return 0; }
  virtual int local_size() const { return 1; }
  /// "job", or what split() was told, with the ranks of the job that belong to it: "tensor group of ranks 2, 3".
  const std::string& name() const { return name_; }
  /// The rank in the job of each rank of this group.
  std::span<const int> members() const { return members_; }

  void barrier(std::string_view what);
  void all_reduce(std::span<float> values, ReduceOp op, std::string_view what);
  void all_reduce(std::span<double> values, ReduceOp op, std::string_view what);
  void all_reduce(std::span<std::int64_t> values, ReduceOp op, std::string_view what);
  /// `all` is size() parts of mine.size() bytes in rank order.
  void all_gather(std::span<const std::byte> mine, std::span<std::byte> all, std::string_view what);
  void broadcast(std::span<std::byte> bytes, int root, std::string_view what);

  /// `terms` is this rank's term of a sum, cut into size() parts of parts[r] values each (the same on every rank; 0 is
  /// a size); part rank() of the sum goes to `mine`, which may be that part of `terms` itself. The other parts of
  /// `terms` are unspecified afterwards. Fastest where `terms` is memory from allocate().
  void reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts, std::span<float> mine,
                      std::string_view what);
  /// In place: `all` is cut into size() parts of parts[r] bytes each; this rank's part stands in its place, afterwards
  /// all do. Fastest where `all` is memory from allocate().
  void all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts, std::string_view what);

  /// From rank to rank, in the order sent. send returns when `bytes` may be written again; at most kWaitingMessages
  /// that were not yet received wait between a rank and another, the next one waits for room.
  static constexpr int kWaitingMessages = 2;
  void send(std::span<const std::byte> bytes, int to, std::string_view what);
  /// The next message of rank `from`; CommError where it has another size.
  void receive(std::span<std::byte> bytes, int from, std::string_view what);

  /// True where every rank said true. Before any step that needs everyone: a failure on one rank becomes a decision of
  /// all.
  bool all_agree(bool mine, std::string_view what);

  /// Collective. Memory from which all_reduce is fastest (shared between the ranks of a node under MPI). The default is
  /// ordinary memory of this rank.
  virtual std::unique_ptr<CommunicatorMemory> allocate(std::size_t bytes, std::string_view what);

  /// Collective. The ranks that give the same colour (>= 0) form a group of their own, in the order of their ranks
  /// here; `name` is the same on all ranks of a colour. It may be used by another thread than this group is. Where one
  /// group breaks because a rank failed, those that this rank is in break too as their calls reach it or its end.
  std::unique_ptr<Communicator> split(int colour, std::string_view name);

  /// How this rank waits in later calls. Not during a call.
  virtual void set_waiting(Waiting waiting);
  /// Any thread: the call under way on this rank, and every later one, throws CommError; for the other ranks it is as
  /// if this rank had failed. May come too late to stop a call whose ranks have all come.
  virtual void interrupt(std::string_view reason);
  /// The same for all groups of this rank: this one, those it was split from and with, those split from them. A thread
  /// that fails calls it, so that no other thread of the rank waits on for what will never come.
  void interrupt_rank(std::string_view reason) { groups_->interrupt(reason); }

  const CollectiveLedger& ledger() const { return *ledger_; }
  /// Of this group and all groups split from it and from those, on this rank.
  const LedgerBook& ledgers() const { return groups_->book; }

 protected:
  /// A group of the whole job is named "job" and has the members 0 .. size - 1; the name of any other gets its members
  /// added.
  Communicator(double deadline_s, std::string_view name, std::vector<int> members);
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
    ledger_->end(call_number_);
  }

  /// What overrides interrupt() calls this first in its destructor.
  void leave_rank();

  /// When the deadline of the call under way passes.
  std::chrono::steady_clock::time_point call_deadline() const { return call_deadline_; }
  /// The two texts of the call under way.
  std::string_view call_collective() const { return call_collective_; }
  std::string_view call_what() const { return call_what_; }
  /// Once an exception has left a call.
  bool is_broken() const { return !broken_.empty(); }

 private:
  [[noreturn]] void fail_call();
  void join_rank(std::shared_ptr<RankGroups> groups);
  void check_parts(std::span<const std::size_t> parts, std::size_t all, std::string_view what) const;
  void check_peer(int peer, std::string_view what) const;
  void begin_call(std::string_view collective, std::string_view what, std::size_t size_bytes);

  virtual void do_barrier() = 0;
  virtual void do_all_reduce(std::span<float> values, ReduceOp op) = 0;
  virtual void do_all_reduce(std::span<double> values, ReduceOp op) = 0;
  virtual void do_all_reduce(std::span<std::int64_t> values, ReduceOp op) = 0;
  virtual void do_all_gather(std::span<const std::byte> mine, std::span<std::byte> all) = 0;
  virtual void do_broadcast(std::span<std::byte> bytes, int root) = 0;
  virtual void do_reduce_scatter(std::span<float> terms, std::span<const std::size_t> parts, std::span<float> mine) = 0;
  virtual void do_all_gather_parts(std::span<std::byte> all, std::span<const std::size_t> parts) = 0;
  virtual void do_send(std::span<const std::byte> bytes, int to) = 0;
  virtual void do_receive(std::span<std::byte> bytes, int from) = 0;
  /// colours[r] is that of rank r.
  virtual std::unique_ptr<Communicator> do_split(std::span<const std::int64_t> colours, std::string_view name) = 0;

  /// An exception has left a call: the other ranks need not wait for this one.
  virtual void on_failure(std::string_view reason);

  double deadline_s_;
  std::string name_;
  std::vector<int> members_;
  std::shared_ptr<CollectiveLedger> ledger_ = std::make_shared<CollectiveLedger>();
  std::shared_ptr<RankGroups> groups_;
  std::string broken_;
  std::string_view call_collective_;
  std::string_view call_what_;
  std::uint64_t call_number_ = 0;
  std::chrono::steady_clock::time_point call_deadline_;
};

}  // namespace stoa::parallel

#pragma once
/// The last collectives of one rank, for the report that a hang prints: which call, how many bytes, finished or not.
/// Written by the rank's thread; describe() may be called from another thread (a watchdog).
#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace stoa::parallel {

class CollectiveLedger {
 public:
  static constexpr std::size_t kKept = 32;

  /// Returns the call's number in the sequence, counted from 1.
  std::uint64_t begin(std::string_view collective, std::string_view what, std::size_t size_bytes);
  void end(std::uint64_t number);

  /// One line a call, oldest first, of the last `most` calls: "#17 all_reduce gradients 4.00 MiB: finished after 0.8
  /// s".
  std::string describe(std::size_t most = kKept) const;
  std::uint64_t count() const;

  /// A call that has begun and not ended.
  struct Open {
    std::string call;  ///< "all_reduce gradients"
    double since_s = 0;
  };
  /// The last call, where it is open.
  std::optional<Open> open() const;

 private:
  struct Entry {
    std::uint64_t number = 0;
    std::array<char, 24> collective{};
    std::array<char, 40> what{};
    std::size_t size_bytes = 0;
    double began_s = 0;
    double ended_s = -1;
  };

  mutable std::mutex mutex_;
  std::array<Entry, kKept> entries_{};
  std::uint64_t count_ = 0;
};

/// How a rank came to lose a group.
enum class GroupLoss {
  kNone,
  kFound,  ///< it found out itself: a deadline passed, a process was gone, a call of its own failed
  kTold,   ///< another rank had failed or found out before: that one has the story
};

/// The ledgers of all groups of a rank, also of those that are gone, and how it lost the first. Any thread.
class LedgerBook {
 public:
  void add(const std::string& group, std::shared_ptr<const CollectiveLedger> ledger);
  /// The first loss stays.
  void note(GroupLoss loss);
  GroupLoss first_loss() const;

  /// What this rank waits for: of the open calls of all groups the one that began last, with its group's name. Empty:
  /// none.
  struct Waiting {
    std::string call;
    double since_s = 0;
  };
  std::optional<Waiting> waiting() const;
  /// Calls of all groups so far.
  std::uint64_t calls() const;

  /// Of each group in which calls were made its name and last calls:
  ///   data group of ranks 1, 3, 17 calls
  ///     #17 reduce_scatter gradients 4.00 MiB: not finished since 2.0 s
  std::string describe() const;

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<std::string, std::shared_ptr<const CollectiveLedger>>> ledgers_;
  GroupLoss first_loss_ = GroupLoss::kNone;
};

}  // namespace stoa::parallel

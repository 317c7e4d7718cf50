#pragma once
/// Where ranks of one node wait for each other: one seat a rank in memory that all of them map. No rank waits without a
/// deadline, and a rank that gives up, or ends by an exception, breaks the group: the others get a CommError at once,
/// with its reason. A rank whose process has ended (killed, out of memory) is missed within some hundredths of a second
/// by those that wait for it. Used by NodeCollectives and NodeMailboxes. CommErrors name ranks of the job.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/parallel/patience.h"

namespace stoa::parallel {

class NodeMeeting {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  static std::size_t bytes_needed(int ranks);

  /// `memory` is the same zeroed memory on all ranks, aligned to 64 bytes. `members`: the rank in the job of each.
  NodeMeeting(std::byte* memory, std::vector<int> members, int rank);
  /// While an exception is under way that was not when it was built, it breaks the group.
  ~NodeMeeting();
  NodeMeeting(const NodeMeeting&) = delete;
  NodeMeeting& operator=(const NodeMeeting&) = delete;

  int rank() const { return rank_; }
  int ranks() const { return static_cast<int>(members_.size()); }
  int member(int rank) const { return members_[static_cast<std::size_t>(rank)]; }
  void set_waiting(Waiting waiting) { waiting_ = waiting; }

  /// Returns when all have come. `signature` stands for what all must have in common; CommError where they have not,
  /// and for who comes when the group has broken.
  void meet(std::uint64_t signature, TimePoint deadline);

  /// Waits until ready(), which rank `other` brings about. False when the deadline passes; CommError where the group
  /// breaks, or `other` leaves or its process ends.
  template <typename Ready>
  [[nodiscard]] bool wait(int other, TimePoint deadline, Ready&& ready) {
    Patience patience(deadline, waiting_);
    unsigned naps = 0;
    while (!ready()) {
      // It may have come and gone since that look.
      const Trouble trouble = look_for_trouble(other);
      if (trouble != Trouble::kNone) return ready() ? true : throw_trouble(trouble, other);
      if (!patience.wait_a_little()) return ready();
      if (patience.has_left_its_processor() && ++naps % kNapsPerLook == 0 && is_gone(other))
        return ready() ? true : fail_without(other);
    }
    return true;
  }

  /// The others stop waiting and throw. Any thread.
  void break_group(std::string_view reason);
  [[noreturn]] void fail(const std::string& message);

 private:
  struct Seat;
  struct Header;
  /// Asking the system costs a few microseconds.
  static constexpr unsigned kNapsPerLook = 64;
  enum class Trouble { kNone, kBroken, kLeft };

  Header& header() const;
  Seat& seat(int rank) const;
  Trouble look_for_trouble(int other) const;
  bool throw_trouble(Trouble trouble, int other);
  bool is_gone(int other) const;
  bool fail_without(int other);
  std::string late_ranks() const;

  std::byte* memory_;
  std::vector<int> members_;
  int rank_;
  int uncaught_at_start_;
  Waiting waiting_ = Waiting::kEager;
  std::uint64_t epoch_ = 0;
};

}  // namespace stoa::parallel

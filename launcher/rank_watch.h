#pragma once
/// What the supervisor knows of its ranks from their heartbeats, and what follows: whether they hang, which one is the
/// reason, which node is slow. Pure: times are the caller's.
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "stoa/launcher/heartbeat.h"

namespace stoa::launcher {

struct WatchRules {
  double steps = 3;         ///< no rank changes for so many median steps ...
  double slack_s = 3;       ///< ... and so many seconds more: they hang
  double deadline_s = 1e9;  ///< of the ranks' collectives: where it passes about as soon, theirs is the better report
  double silence_s = 4;     ///< a rank without a heartbeat for so long is silent
  double patience_s = 900;  ///< the same outside of steps, and before there is a median: loading, evaluating, saving
};

class RankWatch {
 public:
  RankWatch(std::int64_t ranks, const WatchRules& rules, double now_s);

  void greet(const RankGreeting& greeting, double now_s);
  void hear(std::int64_t rank, const Heartbeat& beat, double now_s);

  /// Ranks stand still. A rank alone that stands still while the others go on for longer does not exist: they meet at
  /// every step.
  struct Hang {
    double still_s = 0;
    std::vector<std::int64_t> culprits;  ///< silent, or in no collective while others wait; may be empty
    std::string summary;                 ///< "rank 3 on node4 is silent while 3 others wait"
    std::string text;                    ///< what each rank waits for, a line each, the first 64 of them
  };
  std::optional<Hang> hang(double now_s) const;

  /// Nothing before the first steps were made.
  std::optional<double> median_step_s() const;
  std::int64_t greeted() const { return greeted_; }
  /// The farthest.
  std::int64_t step() const { return step_; }
  /// "?" of a rank that has not greeted, or is none of this run.
  std::string host_of(std::int64_t rank) const;
  /// Whether its last word was that it ends.
  bool is_ending(std::int64_t rank) const {
    return has(rank) && ranks_[std::size_t(rank)].last.phase == trainer::LoopPhase::kEnding;
  }

  /// Two builds at once: "rank 3 on node2 is another build than rank 0 on node1".
  std::optional<std::string> build_defect() const;

  /// The node whose ranks arrive last: where the others wait for them most of the time. Nothing unless they wait less
  /// than half as long as the median rank over the last `kWindow` heartbeats, and that is a tenth of the time at least.
  struct Straggler {
    std::string host;
    double waits = 0;        ///< fraction of its heartbeats in a collective
    double others_wait = 0;  ///< median of the ranks
  };
  std::optional<Straggler> straggler() const;
  static constexpr int kWindow = 60;

 private:
  struct Rank {
    std::string host;
    std::string build;
    Heartbeat last;
    double heard_s = -1;
    double changed_s = 0;
    int beats = 0;  ///< in steps, of the window
    int waits = 0;  ///< of them in a collective
  };

  bool has(std::int64_t rank) const { return rank >= 0 && rank < std::ssize(ranks_); }

  std::vector<Rank> ranks_;
  WatchRules rules_;
  double changed_s_;  ///< of the rank that changed last
  std::int64_t step_ = 0;
  std::int64_t greeted_ = 0;
  std::deque<double> step_times_;
};

}  // namespace stoa::launcher

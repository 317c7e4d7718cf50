#pragma once
/// What follows when an attempt has ended: the rule of each cause. Pure.
#include <optional>
#include <string>
#include <string_view>

#include "stoa/base/error.h"
#include "stoa/cluster/run_record.h"

namespace stoa::cluster {

enum class NextStep {
  kStop,         ///< nothing: it is finished, or its user goes on by hand
  kRestartHere,  ///< at once, on the nodes that are left
  kNextJob,      ///< requeue or successor
  kWait,         ///< the scheduler has put the job back into the queue by itself
  kHold,
  kPause,
  kCancel,
};

struct EndFacts {
  AttemptOutcome outcome = AttemptOutcome::kLost;
  EndCause cause = EndCause::kUnknown;
  ErrorKind error = ErrorKind::kInternal;  ///< of a failed one
  bool scheduler_requeues = false;         ///< by itself
  int failures_in_row = 0;                 ///< this one included: failures_in_row()
  int most_failures = 3;
  double left_s = 0;      ///< until the nodes are taken back
  double restart_s = 0;   ///< that a restart needs to be worth it
  bool nodes_fit = true;  ///< a layout of the run fits on the nodes that are left
};

struct Decision {
  NextStep next = NextStep::kStop;
  std::string reason;  ///< of a held run: a sentence
};
Decision decide(const EndFacts& facts);

/// Attempts since the last one that saved, finished or left a newer checkpoint than all before it, and since the run
/// was last held, paused or cancelled. Those that the machine took back (preemption, requeue, a node that died) or
/// their user ended do not count.
int failures_in_row(const RunState& state);

}  // namespace stoa::cluster

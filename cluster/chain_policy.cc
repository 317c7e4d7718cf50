#include "stoa/cluster/chain_policy.h"

#include <algorithm>

namespace stoa::cluster {
namespace {

/// Another attempt would meet the same.
bool is_certain_to_repeat(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kUsage:
    case ErrorKind::kConfig:
    case ErrorKind::kData:
    case ErrorKind::kCheckpoint:
    case ErrorKind::kStorage:
    case ErrorKind::kNumeric:
      return true;
    default:
      return false;
  }
}

bool counts_as_failure(const AttemptEnded& ended) {
  switch (ended.cause) {
    case EndCause::kPreemption:
    case EndCause::kRequeue:
    case EndCause::kNodeFailure:
    case EndCause::kCancel:
    case EndCause::kPause:
      return false;
    default:
      return true;
  }
}

Decision after_failure(const EndFacts& facts) {
  if (facts.outcome == AttemptOutcome::kFailed && is_certain_to_repeat(facts.error))
    return {NextStep::kHold, fmt::format("the attempt failed ({} error), and another would meet the same",
                                         error_kind_name(facts.error))};
  if (facts.failures_in_row >= facts.most_failures)
    return {NextStep::kHold,
            fmt::format("{} attempts in a row failed without a newer checkpoint", facts.failures_in_row)};
  if (facts.left_s < facts.restart_s || !facts.nodes_fit) return {NextStep::kNextJob, {}};
  return {NextStep::kRestartHere, {}};
}

}  // namespace

Decision decide(const EndFacts& facts) {
  if (facts.outcome == AttemptOutcome::kFinished) return {NextStep::kStop, {}};
  switch (facts.cause) {
    case EndCause::kPause:
      return {NextStep::kPause, {}};
    case EndCause::kCancel:
      return {NextStep::kCancel, {}};
    case EndCause::kSwitchFile:
      return {NextStep::kHold, "the switch file asked for it; remove it before the run goes on"};
    case EndCause::kBudget:
      return {NextStep::kHold, "the allocation is used up"};
    case EndCause::kTimeLimit:
      if (facts.outcome != AttemptOutcome::kSaved && facts.failures_in_row >= facts.most_failures)
        return {NextStep::kHold, "the time limit is too short to save in: attempts end without a newer checkpoint"};
      return {facts.scheduler_requeues ? NextStep::kWait : NextStep::kNextJob, {}};
    case EndCause::kPreemption:
    case EndCause::kRequeue:
      return {facts.scheduler_requeues ? NextStep::kWait : NextStep::kNextJob, {}};
    case EndCause::kNodeFailure:
    case EndCause::kBadNode:
      if (facts.scheduler_requeues) return {NextStep::kWait, {}};
      return {facts.nodes_fit && facts.left_s >= facts.restart_s ? NextStep::kRestartHere : NextStep::kNextJob, {}};
    case EndCause::kSignal:
      if (facts.outcome == AttemptOutcome::kSaved) return {NextStep::kNextJob, {}};
      return after_failure(facts);
    default:
      if (facts.outcome == AttemptOutcome::kSaved) return {NextStep::kNextJob, {}};
      return after_failure(facts);
  }
}

int failures_in_row(const RunState& state) {
  int count = 0;
  std::int64_t newest = -1;
  for (std::size_t i = 0; i < state.attempts.size(); ++i) {
    const auto& ended = state.attempts[i].ended;
    if (!ended) continue;
    const bool good = ended->outcome == AttemptOutcome::kFinished || ended->outcome == AttemptOutcome::kSaved;
    if (good || ended->checkpoint_step > newest)
      count = 0;
    else if (i >= state.settled_attempts && counts_as_failure(*ended))
      ++count;
    newest = std::max(newest, ended->checkpoint_step);
  }
  return count;
}

}  // namespace stoa::cluster

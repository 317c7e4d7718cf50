#pragma once
/// A run's life: RUN/events.jsonl, only ever appended to; its state is the fold of that log. run_events.h has the
/// events and the format's promises.
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/cluster/price.h"
#include "stoa/cluster/run_events.h"

namespace stoa::cluster {

enum class RunPhase {
  kAbsent,
  kCreated,
  kQueued,  ///< a job of the scheduler's waits for it
  kRunning,
  kSaved,
  kFailed,
  kLost,
  kFinished,
  kHeld,       ///< Stoa stopped the chain for a reason that it states
  kPaused,     ///< its user did
  kCancelled,  ///< its user ended it
};
std::string_view phase_name(RunPhase phase);

/// The kinds of events that the table of transitions tells apart: an end by its outcome.
enum class EventKind {
  kCreated,
  kSubmitted,
  kStarted,
  kFinished,
  kSaved,
  kFailed,
  kLost,
  kAsked,
  kNodeExcluded,
  kHeld,
  kPaused,
  kCancelled,
};

struct Transition {
  RunPhase from;
  EventKind event;
  RunPhase to;
};
/// All that can happen in a run's life.
std::span<const Transition> transitions();

struct Attempt {
  AttemptStarted started;
  std::optional<AttemptEnded> ended;
};

struct RunState {
  RunPhase phase = RunPhase::kAbsent;
  std::string run;
  double created = 0;
  double changed = 0;               ///< time of the last event
  std::optional<JobSubmitted> job;  ///< the last one
  std::optional<UserAsked> asked;   ///< and not yet done
  std::string reason;               ///< of a held run
  std::vector<NodeExcluded> excluded;
  std::vector<Attempt> attempts;
  std::size_t settled_attempts = 0;  ///< before the last hold, pause or cancel: who goes on knows of their failures

  /// The attempt that is running; null where none is.
  const Attempt* running() const { return phase == RunPhase::kRunning ? &attempts.back() : nullptr; }
};

/// DataError that names `place` where the event cannot happen in this state.
void apply(RunState& state, const RunEvent& event, std::string_view place);

/// DataError "PLACE:LINE: ..." at the first line that cannot be read or cannot happen. Every prefix of a good log is a
/// good log: a last line without its newline was torn by a crash and never happened.
RunState fold_events(std::string_view text, std::string_view place);

/// As fold_events; an absent file is the state before the run was created. Does not touch the file.
RunState read_run_state(const std::filesystem::path& events_file);

/// The attempts that ended, as pieces of work that can be priced. Where a clock was set back, an attempt took no time.
std::vector<UsageRecord> usage_records(const RunState& state);

/// A writer of a log. Several may write one log: a supervisor, and its user's commands on a login node. Each append
/// locks the file (flock), reads what others wrote, checks the event against that, writes and syncs it.
class RunRecord {
 public:
  explicit RunRecord(std::filesystem::path events_file);

  /// As of the last append or refresh.
  const RunState& state() const { return state_; }
  /// Reads what others have written since.
  void refresh();
  /// DataError where the event cannot happen any more. StorageError, where the folder is gone (the attempt was fenced).
  void append(const RunEvent& event);

  /// Ends an attempt that never reported back (kill -9, a dead machine); nothing where none is open. The caller passes
  /// what it last heard of it, from the metrics: its time, step and energy.
  struct SignOfLife {
    double time = 0;
    std::int64_t step = 0;
    double energy_j = 0;
    std::string energy_source = {};
  };
  void close_lost_attempt(const SignOfLife& last, EndCause cause = EndCause::kUnknown,
                          std::int64_t checkpoint_step = -1);

 private:
  void fold_new(std::string_view text);

  std::filesystem::path path_;
  RunState state_;
  std::size_t folded_bytes_ = 0;
  int folded_lines_ = 0;
};

}  // namespace stoa::cluster

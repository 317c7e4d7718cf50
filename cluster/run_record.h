#pragma once
/// A run's life: RUN/events.jsonl, one JSON object a line, only ever appended to; its state is the fold of that log.
///
///   {"event":"created","version":1,"run":"quickstart","time":1764000000.0}
///   {"event":"attempt_started","attempt":"1","time":...,"ranks":2,"resources":2,"host":"node1","pid":4711}
///   {"event":"attempt_ended","attempt":"1","time":...,"outcome":"saved","step":300,"energy_j":9000.0,
///    "energy_source":"modelled","message":""}
///
/// Compatibility: a reader of version V reads every log of version 1 to V and refuses later ones. Keys it does not know
/// are ignored, so keys may be added within a version; a new event, a new outcome or a changed meaning needs a new
/// version. A last line without its newline was torn by a crash and never happened.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "stoa/base/durable_file.h"
#include "stoa/cluster/price.h"

namespace stoa::cluster {

inline constexpr int kRunRecordVersion = 1;

enum class AttemptOutcome {
  kFinished,
  kSaved,  ///< stopped in good order before the work was done
  kFailed,
  kLost,  ///< never reported back: killed, or its machine died
};
std::string_view outcome_name(AttemptOutcome outcome);

/// Times are seconds since 1970-01-01 UTC.
struct RunCreated {
  std::string run;
  double time = 0;
};
struct AttemptStarted {
  std::string attempt;
  double time = 0;
  std::int64_t ranks = 0;
  std::int64_t resources = 0;  ///< cores or accelerators held
  std::string host;
  std::int64_t pid = 0;  ///< of the process that started it
};
struct AttemptEnded {
  std::string attempt;
  double time = 0;
  AttemptOutcome outcome = AttemptOutcome::kFinished;
  std::int64_t step = 0;
  double energy_j = 0;
  std::string energy_source;
  std::string message;
};
using RunEvent = std::variant<RunCreated, AttemptStarted, AttemptEnded>;

enum class RunPhase { kAbsent, kCreated, kRunning, kSaved, kFailed, kLost, kFinished };
std::string_view phase_name(RunPhase phase);

struct Attempt {
  AttemptStarted started;
  std::optional<AttemptEnded> ended;
};

struct RunState {
  RunPhase phase = RunPhase::kAbsent;
  std::string run;
  double created = 0;
  std::vector<Attempt> attempts;
};

/// One line, without its newline.
std::string to_line(const RunEvent& event);

/// DataError that names `place` where the event cannot happen in this state.
void apply(RunState& state, const RunEvent& event, std::string_view place);

/// DataError "PLACE:LINE: ..." at the first line that cannot be read or cannot happen. Every prefix of a good log is a
/// good log.
RunState fold_events(std::string_view text, std::string_view place);

/// As fold_events; an absent file is the state before the run was created. Does not touch the file.
RunState read_run_state(const std::filesystem::path& events_file);

/// The attempts that ended, as pieces of work that can be priced. Where a clock was set back, an attempt took no time.
std::vector<UsageRecord> usage_records(const RunState& state);

/// The one writer of a log. Every event is checked against the state, then written and synced before `append` returns.
class RunRecord {
 public:
  /// Cuts a torn last line off.
  explicit RunRecord(const std::filesystem::path& events_file);

  const RunState& state() const { return state_; }
  void append(const RunEvent& event);

  /// Ends an attempt that never reported back (kill -9, a dead machine); nothing where none is open. The caller passes
  /// what it last heard of it, from the metrics: its time, step and energy.
  struct SignOfLife {
    double time = 0;
    std::int64_t step = 0;
    double energy_j = 0;
    std::string energy_source = {};
  };
  void close_lost_attempt(const SignOfLife& last);

 private:
  std::filesystem::path path_;
  AppendFile file_;
  RunState state_;
};

}  // namespace stoa::cluster

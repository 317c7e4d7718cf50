#pragma once
/// What happens in a run's life, one JSON object a line of RUN/events.jsonl:
///
///   {"event":"created","version":2,"run":"quickstart","time":1764000000.0}
///   {"event":"submitted","time":...,"job":"812","cluster":"stoa","user":"alice","how":"submit"}
///   {"event":"attempt_started","attempt":"812.0.1","time":...,"ranks":4,"resources":4,"host":"node1","pid":4711,
///    "job":"812","restart":0,"nodes":["node1","node2"],"layout":"data 4"}
///   {"event":"attempt_ended","attempt":"812.0.1","time":...,"outcome":"saved","cause":"time limit","step":300,
///    "checkpoint_step":300,"energy_j":9000.0,"energy_source":"modelled","message":""}
///   {"event":"asked","time":...,"request":"pause","user":"alice"}
///   {"event":"node_excluded","time":...,"node":"node3","reason":"..."}
///   {"event":"held","time":...,"reason":"..."} {"event":"paused","time":...} {"event":"cancelled","time":...}
///
/// Compatibility: a reader of version V reads every log of version 1 to V and refuses later ones. Keys it does not know
/// are ignored, so keys may be added within a version; a new event, a new outcome or a changed meaning needs a new
/// version. Version 1 had created, attempt_started and attempt_ended without job and cause; a log that version 1 began
/// may go on with events of version 2, which a reader of version 1 refuses by name.
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace stoa::cluster {

inline constexpr int kRunRecordVersion = 2;

enum class AttemptOutcome {
  kFinished,
  kSaved,  ///< stopped in good order before the work was done
  kFailed,
  kLost,  ///< never reported back: killed, or its machine died
};
std::string_view outcome_name(AttemptOutcome outcome);

/// Why an attempt ended before the work was done.
enum class EndCause {
  kNone,         ///< it finished, or the log is of version 1
  kTimeLimit,    ///< the job's
  kPreemption,   ///< for a job of a higher priority
  kNodeFailure,  ///< the scheduler lost a node of the job
  kRequeue,      ///< someone gave the job back to the queue
  kCancel,       ///< someone ended the job or the run
  kPause,        ///< `stoa pause`
  kSwitchFile,   ///< a file named `stop` in the run's directory
  kSignal,       ///< a signal to the supervisor that no cause above explains
  kBudget,       ///< the allocation is used up
  kRankLost,     ///< a rank died, or ranks lost each other
  kHang,         ///< a rank made no progress
  kBadNode,      ///< a node failed its check before the start
  kError,        ///< the ranks report an error of their own
  kUnknown,
};
std::string_view cause_name(EndCause cause);

enum class UserRequest { kPause, kCancel };
std::string_view request_name(UserRequest request);

/// How a job came to wait for the run.
enum class SubmitWay { kSubmit, kRequeue, kSuccessor };
std::string_view way_name(SubmitWay way);

/// Times are seconds since 1970-01-01 UTC.
struct RunCreated {
  std::string run;
  double time = 0;
};
struct JobSubmitted {
  double time = 0;
  std::string job;
  std::string cluster;  ///< Slurm's name of it
  std::string user;
  SubmitWay how = SubmitWay::kSubmit;
};
struct AttemptStarted {
  std::string attempt;
  double time = 0;
  std::int64_t ranks = 0;
  std::int64_t resources = 0;  ///< cores or accelerators held
  std::string host;
  std::int64_t pid = 0;  ///< of the process that started it
  std::string job;       ///< empty: without a scheduler
  std::int64_t restart = 0;
  std::vector<std::string> nodes;
  std::string layout;
};
struct AttemptEnded {
  std::string attempt;
  double time = 0;
  AttemptOutcome outcome = AttemptOutcome::kFinished;
  EndCause cause = EndCause::kNone;
  std::int64_t step = 0;
  std::int64_t checkpoint_step = -1;  ///< the newest one published when it ended; -1: none, or not said
  double energy_j = 0;
  std::string energy_source;
  std::string message;
};
struct UserAsked {
  double time = 0;
  UserRequest request = UserRequest::kPause;
  std::string user;
};
struct NodeExcluded {
  double time = 0;
  std::string node;
  std::string reason;
};
struct RunHeld {
  double time = 0;
  std::string reason;
};
struct RunPaused {
  double time = 0;
};
struct RunCancelled {
  double time = 0;
};
using RunEvent = std::variant<RunCreated, JobSubmitted, AttemptStarted, AttemptEnded, UserAsked, NodeExcluded, RunHeld,
                              RunPaused, RunCancelled>;

/// One line, without its newline.
std::string to_line(const RunEvent& event);
/// DataError that names `place` and the key.
RunEvent parse_event(std::string_view line, std::string_view place);

}  // namespace stoa::cluster

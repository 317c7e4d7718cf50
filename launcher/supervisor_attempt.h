#pragma once
/// One attempt under supervision: the ranks' output and heartbeats, the clock, and all that can ask them to stop.
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "stoa/base/clock.h"
#include "stoa/base/process.h"
#include "stoa/cluster/run_events.h"
#include "stoa/launcher/allocation.h"
#include "stoa/launcher/rank_watch.h"

namespace stoa::launcher {

enum class StopRequest {
  kNone,
  kSave,   ///< the ranks save and end in order
  kAtOnce  ///< they are killed
};

/// Why the supervisor told the ranks to stop, and how.
struct StopOrder {
  StopRequest request = StopRequest::kNone;
  cluster::EndCause cause = cluster::EndCause::kNone;  ///< kSignal where only the scheduler may know more
  int signal = 0;                                      ///< that came last
  std::string text;
};

struct AttemptEnd {
  ProcessEnd process;
  StopOrder stop;
  std::optional<RankWatch::Hang> hang;
  std::string build_defect;
  std::string culprit_host;  ///< of the first culprit of a hang
  std::string gone_text;     ///< "rank 3 on node2 is gone": the first whose line broke; empty: none
};

struct AttemptRules {
  int ranks = 1;
  std::string attempt;
  WatchRules watch;
  std::optional<double> save_at_unix_s;  ///< before the limit; the signal may come earlier
  std::filesystem::path switch_file;     ///< its presence asks to save
};

struct AttemptEvents {
  std::function<void(const std::string&)> line;  ///< of the ranks' standard output
  std::function<void(const StopOrder&)> stop_asked;
  std::function<void(const std::string&)> told;  ///< a sentence for people: a straggler, all ranks connected
  /// Asked once a second: what the run's user has asked for in its event log.
  std::function<std::optional<cluster::UserAsked>()> user_asked;
};

/// Runs attempts one after the other. Signals that come between two of them are the next one's.
class AttemptRunner {
 public:
  /// SIGINT, SIGTERM, SIGHUP and the warning signal (0: none) no longer end this process but ask the ranks to save.
  explicit AttemptRunner(int warning_signal);
  ~AttemptRunner();
  AttemptRunner(const AttemptRunner&) = delete;
  AttemptRunner& operator=(const AttemptRunner&) = delete;

  /// Starts what `launch` describes (its environment is completed with the way to this supervisor) and returns when it
  /// has ended. Signals, the switch file, the user's request and the clock ask for a stop meanwhile. Call from the main
  /// thread.
  AttemptEnd run(Allocation& allocation, RankLaunch launch, const AttemptRules& rules, const AttemptEvents& events,
                 const Clock& clock);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace stoa::launcher

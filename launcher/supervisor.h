#pragma once
/// The supervisor of a run: starts attempts in an allocation, one after the other, records each with its cause, and
/// decides what follows. `stoa run` and the batch job of `stoa submit` are this with another Allocation.
#include <cstdio>
#include <string>

#include "stoa/base/clock.h"
#include "stoa/cluster/chain_policy.h"
#include "stoa/launcher/allocation.h"
#include "stoa/launcher/run_preparation.h"
#include "stoa/launcher/run_view.h"
#include "stoa/launcher/supervisor_attempt.h"

namespace stoa::launcher {

struct SupervisorRules {
  bool restarts_here = false;  ///< after a failure, in the same allocation
  bool fences = false;         ///< attempts work behind AttemptFence: others may still be alive
  int most_failures = 3;
  double warning_s = 0;      ///< before the allocation's end, in which the ranks save
  double least_left_s = 60;  ///< for a restart to be worth it
  WatchRules watch;
};

/// How the last attempt of an allocation ended, and what follows.
struct Conclusion {
  cluster::AttemptEnded ended;
  cluster::Decision decision;
  ErrorKind error = ErrorKind::kInternal;  ///< of a failed or lost attempt
  StopOrder stop;
  ProcessEnd process;
};

class Supervisor {
 public:
  /// Borrows everything.
  Supervisor(const PreparedRun& run, cluster::RunRecord& record, Allocation& allocation, const SupervisorRules& rules,
             RunView& view, const Clock& clock);

  /// Attempts until one ends for good, or nothing can be done in this allocation any more. Call from the main thread.
  Conclusion run(AttemptRunner& runner);

 private:
  /// A layout for the nodes that are left.
  struct Placement {
    std::vector<std::string> nodes;
    parallel::MeshSize mesh;
  };
  std::optional<Placement> place();
  bool check_nodes(const std::vector<std::string>& nodes);
  Conclusion attempt(AttemptRunner& runner, const Placement& placement);
  cluster::AttemptStarted started_event(const std::string& name, const Placement& placement) const;
  Conclusion conclude(const cluster::AttemptStarted& started, const RunDirectory& directory, const AttemptEnd& end);
  void exclude(const std::string& node, const std::string& reason);
  std::optional<cluster::UserAsked> user_asked();

  const PreparedRun& run_;
  cluster::RunRecord& record_;
  Allocation& allocation_;
  SupervisorRules rules_;
  RunView& view_;
  const Clock& clock_;
  int launches_ = 0;
  std::string suspect_;  ///< the node of the last hang's culprit
};

/// "a rank: signal 9, Killed": how what started the ranks ended.
std::string describe_end(const ProcessEnd& end, std::string_view starter);

/// Keeps attempts apart that may be alive at once, after a cut cable for one. Each works in RUN/attempts/NAME, a link
/// to RUN itself; the next one removes the links of the others first, and then everything that an old one does by a
/// path fails. (A network file system may follow the old link for as long as it caches names: seconds.)
std::filesystem::path enter_fence(const RunDirectory& run, const std::string& attempt);

}  // namespace stoa::launcher

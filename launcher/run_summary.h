#pragma once
/// What `stoa status` says of a run, and the cache that makes it quick for ten thousand of them.
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "stoa/base/clock.h"
#include "stoa/cluster/run_registry.h"
#include "stoa/cluster/slurm.h"

namespace stoa::launcher {

struct RunSummary {
  std::filesystem::path directory;
  std::string name;
  std::string phase;  ///< of the record: "running"
  std::string job;    ///< the last one; empty: none
  std::int64_t attempts = 0;
  std::int64_t step = 0;
  std::int64_t steps = 0;
  double changed = 0;             ///< when, seconds since 1970
  std::int64_t money_micros = 0;  ///< of the attempts that ended, and of the one that runs up to now
  std::string currency;
  std::string note;  ///< why it is held, or how the last attempt ended
  /// Of a run at work.
  double step_s = 0;
  std::int64_t resources = 0;
  double attempt_began = 0;
  double gap_s = 0;  ///< mean time between two jobs of this run so far

  bool is_open() const { return phase == "queued" || phase == "running"; }
};

/// From the run's directory. DataError where it holds no run that can be read.
RunSummary summarize(const std::filesystem::path& run_directory, const Clock& clock);

/// Summaries of all recorded runs, oldest first; of a run whose log has not changed since, from the cache. Directories
/// that are gone are left out. `at_work`: called with how many were read and how many there are, now and then.
std::vector<RunSummary> summarize_all(const cluster::RunRegistry& registry, const Clock& clock,
                                      const std::function<void(std::size_t, std::size_t)>& at_work);

/// The scheduler's view of the jobs of these runs: one call of squeue, and one of sacct for jobs that left the queue.
struct JobViews {
  std::map<std::string, cluster::QueuedJob> queued;
  std::map<std::string, cluster::AccountedJob> ended;  ///< the last row of each
  std::string unreachable;                             ///< why there is none
};
JobViews view_jobs(const std::vector<RunSummary>& runs);

/// "running", "waiting: Priority, expected 14:05", "lost: job 12 TIMEOUT", "held: ...".
std::string state_text(const RunSummary& run, const JobViews& jobs);

/// Seconds until the last step, with the jobs that are still to come: steps x step time, and a gap for each further job
/// of `job_s` useful seconds (0: one job holds them all). Nothing where no step was made yet.
struct Arrival {
  double seconds = 0;
  std::int64_t more_jobs = 0;
};
std::optional<Arrival> arrival(const RunSummary& run, double left_in_job_s, double job_s);

}  // namespace stoa::launcher

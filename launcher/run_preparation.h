#pragma once
/// What `stoa run` and `stoa submit` do before a run begins or goes on: the experiment and its machine are read and
/// checked, its data is made, its directory is written.
#include <filesystem>
#include <string>
#include <vector>

#include "stoa/base/clock.h"
#include "stoa/base/log.h"
#include "stoa/cluster/machine.h"
#include "stoa/cluster/run_record.h"
#include "stoa/launcher/experiment.h"
#include "stoa/launcher/run_directory.h"

namespace stoa::launcher {

struct PreparedRun {
  Experiment experiment;
  std::filesystem::path machine_file;
  cluster::MachineSettings machine;
  RunDirectory directory;
};

/// Reads and checks; writes nothing.
PreparedRun read_run(const std::filesystem::path& experiment_file, const std::vector<std::string>& overrides);
/// A run as its own directory tells it: RUN/spec.yaml.
PreparedRun read_begun_run(const std::filesystem::path& run_directory);

/// The run's directory, and ConfigError where another experiment began it. `experiment.cluster.machine` becomes a name.
void begin_directory(PreparedRun& run);

/// Whether the record says that all steps are made.
bool is_finished(const PreparedRun& run, const cluster::RunState& state);

/// Checks the first weights, makes the data, writes spec and machine, and the record's first event.
void complete_directory(const PreparedRun& run, cluster::RunRecord& record, const Clock& clock, Log& log);

/// An attempt that never reported back, because what started it was killed: ended from what it left.
void close_open_attempt(const PreparedRun& run, cluster::RunRecord& record, cluster::EndCause cause);

/// Nothing is at work that could still do what the run's user asked for: it is done, and the next start goes on.
void settle_request(cluster::RunRecord& record, const Clock& clock);

/// The end of an attempt: its outcome, completed by its last metrics. Nothing where it left no outcome.
std::optional<cluster::AttemptEnded> reported_end(const RunDirectory& run, const std::string& attempt, double started);
/// What was last heard of an attempt, from its metrics.
cluster::RunRecord::SignOfLife last_sign(const RunDirectory& run, const std::string& attempt, double started);

/// Step of the newest published checkpoint; -1: none.
std::int64_t newest_checkpoint(const RunDirectory& run);

/// Of this machine, and of who runs this process.
std::string host_name();
std::string user_name();

}  // namespace stoa::launcher

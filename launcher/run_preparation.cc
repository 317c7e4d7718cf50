#include "stoa/launcher/run_preparation.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>

#include "stoa/checkpoint/publication.h"
#include "stoa/cluster/machine_file.h"
#include "stoa/cluster/run_metrics.h"
#include "stoa/launcher/data_files.h"
#include "stoa/launcher/machine_choice.h"
#include "stoa/trainer/loop/starting_point.h"

namespace stoa::launcher {
namespace {

using cluster::AttemptOutcome;

/// Before the data is made, which can take hours. A run that goes on does not need them any more.
void check_first_weights(const PreparedRun& run) {
  const std::string& folder = run.experiment.training.start_from;
  if (folder.empty() || newest_checkpoint(run.directory) >= 0) return;
  trainer::check_start(folder, trainer::make_parameter_table(run.experiment.model));
}

/// The machine goes into the run's directory with the spec: prices of this run never change under it.
void write_spec(const PreparedRun& run) {
  std::filesystem::create_directories(run.directory.machines());
  const std::filesystem::path copy = run.directory.machines() / (run.machine_file.stem().string() + ".yaml");
  if (!std::filesystem::exists(copy)) write_file_durably(copy, read_text_file(run.machine_file));
  write_file_durably(run.directory.spec(), experiment_yaml(run.experiment));
}

}  // namespace

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

std::string user_name() {
  const passwd* user = ::getpwuid(::geteuid());
  return user != nullptr ? user->pw_name : fmt::format("{}", ::geteuid());
}

PreparedRun read_run(const std::filesystem::path& experiment_file, const std::vector<std::string>& overrides) {
  PreparedRun run{.experiment = read_experiment(experiment_file, overrides)};
  run.machine_file = machine_file(run.experiment, experiment_file);
  run.machine = cluster::read_machine(run.machine_file);
  run.directory = {run.experiment.run_directory};
  return run;
}

PreparedRun read_begun_run(const std::filesystem::path& run_directory) {
  PreparedRun run = read_run(run_directory / "spec.yaml", {});
  run.directory = {run_directory};
  return run;
}

void begin_directory(PreparedRun& run) {
  std::filesystem::create_directories(run.directory.path);
  run.experiment.cluster.machine = run.machine_file.stem().string();
  refuse_another_experiment(run.directory, run.experiment);
}

bool is_finished(const PreparedRun& run, const cluster::RunState& state) {
  if (state.phase != cluster::RunPhase::kFinished || state.attempts.empty()) return false;
  const auto& ended = state.attempts.back().ended;
  return ended && ended->step >= run.experiment.training.steps;
}

void complete_directory(const PreparedRun& run, cluster::RunRecord& record, const Clock& clock, Log& log) {
  check_first_weights(run);
  make_data(run.experiment, log);
  write_spec(run);
  if (record.state().phase == cluster::RunPhase::kAbsent)
    record.append(cluster::RunCreated{run.experiment.name, clock.unix_s()});
}

std::int64_t newest_checkpoint(const RunDirectory& run) {
  const auto published = checkpoint::scan_published(run.path / "checkpoints");
  return published.empty() ? -1 : published.back().step;
}

cluster::RunRecord::SignOfLife last_sign(const RunDirectory& run, const std::string& attempt, double started) {
  cluster::RunRecord::SignOfLife sign{.time = started};
  for (const cluster::StepMetrics& step : cluster::read_metrics(run.metrics()).steps)
    if (step.attempt == attempt && step.time >= sign.time)
      sign = {.time = step.time, .step = step.step, .energy_j = step.energy_j, .energy_source = step.energy_source};
  return sign;
}

// A rank that fails tells neither step nor energy: the last metrics line does.
std::optional<cluster::AttemptEnded> reported_end(const RunDirectory& run, const std::string& attempt, double started) {
  const auto outcome = read_outcome(run.outcome());
  if (!outcome || outcome->attempt != attempt) return std::nullopt;
  const auto sign = last_sign(run, attempt, started);
  const auto kind = outcome->kind == Outcome::Kind::kFinished ? AttemptOutcome::kFinished
                    : outcome->kind == Outcome::Kind::kSaved  ? AttemptOutcome::kSaved
                                                              : AttemptOutcome::kFailed;
  return cluster::AttemptEnded{
      .attempt = outcome->attempt,
      .time = outcome->time,
      .outcome = kind,
      .step = kind == AttemptOutcome::kFailed ? std::max(outcome->step, sign.step) : outcome->step,
      .checkpoint_step = newest_checkpoint(run),
      .energy_j = std::max(outcome->energy_j, sign.energy_j),
      .energy_source = sign.energy_source,
      .message = outcome->message};
}

void settle_request(cluster::RunRecord& record, const Clock& clock) {
  if (!record.state().asked) return;
  if (record.state().asked->request == cluster::UserRequest::kCancel)
    record.append(cluster::RunCancelled{clock.unix_s()});
  else
    record.append(cluster::RunPaused{clock.unix_s()});
}

void close_open_attempt(const PreparedRun& run, cluster::RunRecord& record, cluster::EndCause cause) {
  const cluster::Attempt* open = record.state().running();
  if (open == nullptr) return;
  const cluster::AttemptStarted started = open->started;
  if (auto ended = reported_end(run.directory, started.attempt, started.time)) {
    if (ended->outcome != AttemptOutcome::kFinished) ended->cause = cause;
    record.append(*ended);
  } else {
    record.close_lost_attempt(last_sign(run.directory, started.attempt, started.time), cause,
                              newest_checkpoint(run.directory));
  }
}

}  // namespace stoa::launcher

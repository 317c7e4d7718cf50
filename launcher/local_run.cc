#include "stoa/launcher/local_run.h"

#include <signal.h>

#include <algorithm>
#include <optional>

#include "stoa/base/error.h"
#include "stoa/base/log.h"
#include "stoa/cluster/run_registry.h"
#include "stoa/launcher/run_report.h"
#include "stoa/launcher/slurm_allocation.h"
#include "stoa/launcher/supervisor.h"

namespace stoa::launcher {
namespace {

using cluster::AttemptOutcome;
using cluster::EndCause;

constexpr std::string_view kGoesOn = "the same command goes on from the last checkpoint";

std::string describe_loss(const PreparedRun& run, const Conclusion& end) {
  return fmt::format("{}: attempt {} died without a report ({}), last heard of at step {}; {}",
                     run.directory.path.string(), end.ended.attempt, describe_end(end.process, "mpirun"),
                     end.ended.step, kGoesOn);
}

int conclude(const PreparedRun& run, const Conclusion& end, std::FILE* out) {
  const std::string place = run.directory.path.string();
  switch (end.ended.outcome) {
    case AttemptOutcome::kFinished:
      fmt::print(out, "{}: finished at step {}; {}\n", place, end.ended.step, run.directory.report().string());
      return kExitFinished;
    case AttemptOutcome::kSaved:
      fmt::print(out, "{}: saved at step {} of {}; the same command goes on from there\n", place, end.ended.step,
                 run.experiment.training.steps);
      return kExitSaved;
    case AttemptOutcome::kFailed: {
      const bool lost = end.error == ErrorKind::kComm;
      throw Error(end.error, lost ? fmt::format("{}; {}", end.ended.message, kGoesOn) : end.ended.message);
    }
    default:
      if (end.stop.request == StopRequest::kAtOnce) return 128 + end.stop.signal;
      throw Error(end.error, describe_loss(run, end));
  }
}

EndCause rehearsed_cause(DrillFault fault) {
  switch (fault) {
    case DrillFault::kPreempt:
      return EndCause::kPreemption;
    case DrillFault::kTimeout:
      return EndCause::kTimeLimit;
    default:
      return EndCause::kNodeFailure;
  }
}

}  // namespace

void write_report(const RunDirectory& run, bool is_finished, std::FILE* out, Log& log) {
  try {
    const cluster::RunReport report = report_of(run);
    write_file_durably(run.report(), render_html(report));
    if (!is_finished) return;
    const int columns = std::clamp(terminal_columns(out), 60, 120);
    fmt::print(out, "{}\n", render_loss_curve(report, {.columns = columns, .charset = cluster::Charset::kUtf8}));
    for (const cluster::ReportFact& fact : report.sections.front().facts)
      fmt::print(out, "{:<24}{} {}\n", fact.label, fact.value, fact.note.empty() ? "" : "(" + fact.note + ")");
  } catch (const Error& failure) {
    log.warning("no report: {}", failure.what());
  }
}

int run_locally(const RunRequest& request, std::FILE* out, std::FILE* progress, const Clock& clock) {
  Log log(progress, "stoa");
  PreparedRun run = read_run(request.experiment_file, request.overrides);
  std::filesystem::create_directories(run.directory.path);
  refuse_live_job(run.directory, cluster::read_run_state(run.directory.events()));
  RunLock lock(run.directory.lock());
  begin_directory(run);
  cluster::RunRecord record(run.directory.events());
  close_open_attempt(run, record, cluster::EndCause::kUnknown);
  settle_request(record, clock);
  if (is_finished(run, record.state())) {
    fmt::print(out, "{}: finished at step {} already; give it more training.steps to go on\n",
               run.directory.path.string(), run.experiment.training.steps);
    return kExitFinished;
  }
  complete_directory(run, record, clock, log);
  cluster::RunRegistry().add(std::filesystem::absolute(run.directory.path));
  lock.let_children_hold();

  AttemptRunner runner(request.drill ? SIGUSR2 : 0);
  RunView view(progress, run, clock);
  const SupervisorRules rules{.restarts_here = request.drill.has_value(),
                              .warning_s = request.limit_s ? request.warning_s : 0};
  std::optional<DrillTrigger> trigger;
  if (request.drill) trigger.emplace(*request.drill, run.directory.metrics());
  for (;;) {
    const auto end_s = request.limit_s ? std::optional(clock.unix_s() + *request.limit_s) : std::nullopt;
    const cluster::EndCause rehearsed = request.drill ? rehearsed_cause(request.drill->fault) : EndCause::kUnknown;
    LocalAllocation allocation(request.ranks, end_s, rehearsed);
    const Conclusion end = Supervisor(run, record, allocation, rules, view, clock).run(runner);
    write_report(run.directory, end.ended.outcome == AttemptOutcome::kFinished, out, log);
    const bool is_rehearsed =
        end.ended.cause == rehearsed || (request.limit_s && end.ended.cause == EndCause::kTimeLimit);
    if (!is_rehearsed || end.decision.next != cluster::NextStep::kNextJob) {
      settle_request(record, clock);
      return conclude(run, end, out);
    }
    view.say(fmt::format("{}: saved at step {}; the next job goes on", cause_name(end.ended.cause), end.ended.step));
  }
}

}  // namespace stoa::launcher

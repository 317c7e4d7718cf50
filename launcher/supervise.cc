#include "stoa/launcher/supervise.h"

#include <signal.h>
#include <sys/resource.h>

#include <algorithm>

#include "stoa/base/error.h"
#include "stoa/base/log.h"
#include "stoa/cluster/run_registry.h"
#include "stoa/launcher/local_run.h"
#include "stoa/launcher/slurm_allocation.h"
#include "stoa/launcher/submission.h"
#include "stoa/launcher/supervisor.h"

namespace stoa::launcher {
namespace {

using cluster::EndCause;
using cluster::NextStep;
using cluster::RunPhase;

/// A line to each rank is a descriptor.
void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

int signal_number(const std::string& name) {
  if (name == "USR1") return SIGUSR1;
  if (name == "TERM") return SIGTERM;
  if (name == "HUP") return SIGHUP;
  return SIGUSR2;
}

/// Accounts arrive late; that the same job runs again tells that it was requeued, by whomever.
EndCause cause_of_open_attempt(const cluster::AttemptStarted& open, const SlurmJob& job, const cluster::Slurm& slurm) {
  const EndCause cause = accounted_cause(open, slurm);
  const bool again = open.job == job.id && open.restart < job.restart;
  return cause == EndCause::kUnknown && again ? EndCause::kRequeue : cause;
}

/// Another job that works on this run, where there is one.
void refuse_second_supervisor(const cluster::RunState& state, const SlurmJob& job, const cluster::Slurm& slurm) {
  const cluster::Attempt* open = state.running();
  if (open == nullptr || open->started.job == job.id) return;
  if (open->started.job.empty())
    throw ResourceError("attempt {} of this run was started by stoa run on {} (process {}) and has not ended",
                        open->started.attempt, open->started.host, open->started.pid);
  const std::string ids[] = {open->started.job};
  for (const cluster::QueuedJob& other : slurm.queue(ids).rows)
    if (other.state == "RUNNING") throw ResourceError("job {} is at work on this run; this job ends", other.id);
}

class JobSupervision {
 public:
  JobSupervision(const std::filesystem::path& spec, std::FILE* out, const Clock& clock)
      : job_(job_from_environment()),
        spec_(spec),
        run_(read_begun_run(spec.parent_path())),
        record_(run_.directory.events()),
        clock_(clock),
        out_(out),
        log_(out, "stoa") {}

  int run() {
    if (const auto done = nothing_to_do()) return *done;
    cluster::RunRegistry().add(run_.directory.path);
    const auto lock = RunLock::take_if_free(run_.directory.lock());
    cluster::BatchJob batch = batch_job(run_);
    SlurmAllocation allocation(job_, batch, spec_.string(), clock_);
    allocation.broadcast_program();
    AttemptRunner runner(signal_number(batch.settings.signal));
    RunView view(out_, run_, clock_);
    const SupervisorRules rules{.restarts_here = true,
                                .fences = true,
                                .most_failures = batch.settings.most_failures,
                                .warning_s = double(batch.settings.warning_s)};
    const Conclusion end = Supervisor(run_, record_, allocation, rules, view, clock_).run(runner);
    allocation.remove_program();
    write_report(run_.directory, end.ended.outcome == cluster::AttemptOutcome::kFinished, out_, log_);
    return follow(end, allocation);
  }

 private:
  /// Exit code where this job has no work: paused, cancelled, held or finished since it was submitted.
  std::optional<int> nothing_to_do() {
    const cluster::Slurm slurm;
    refuse_second_supervisor(record_.state(), job_, slurm);
    if (const cluster::Attempt* open = record_.state().running())
      close_open_attempt(run_, record_, cause_of_open_attempt(open->started, job_, slurm));
    if (record_.state().phase == RunPhase::kAbsent)
      record_.append(cluster::RunCreated{run_.experiment.name, clock_.unix_s()});
    settle_request(record_, clock_);  // of a job that was gone before it heard it
    const RunPhase phase = record_.state().phase;
    if (phase == RunPhase::kPaused || phase == RunPhase::kCancelled || phase == RunPhase::kHeld) {
      fmt::print(out_, "{}: the run is {}: job {} ends; stoa resume goes on\n", run_.directory.path.string(),
                 phase_name(phase), job_.id);
      return kExitFinished;
    }
    if (is_finished(run_, record_.state())) {
      fmt::print(out_, "{}: finished already\n", run_.directory.path.string());
      return kExitFinished;
    }
    if (failures_in_row(record_.state()) >= batch_job(run_).settings.most_failures)
      return hold("attempts in a row were lost without a newer checkpoint", exit_code(ErrorKind::kComm));
    return std::nullopt;
  }

  int hold(const std::string& reason, int code) {
    record_.append(cluster::RunHeld{clock_.unix_s(), reason});
    fmt::print(out_, "{}: held: {}; stoa resume goes on when this is mended\n", run_.directory.path.string(), reason);
    return code;
  }

  int follow(const Conclusion& end, SlurmAllocation& allocation) {
    const std::string place = run_.directory.path.string();
    const bool failed = end.ended.outcome == cluster::AttemptOutcome::kFailed;
    switch (end.decision.next) {
      case NextStep::kPause:
        record_.append(cluster::RunPaused{clock_.unix_s()});
        fmt::print(out_, "{}: paused at step {}; stoa resume goes on\n", place, end.ended.step);
        return kExitFinished;
      case NextStep::kCancel:
        record_.append(cluster::RunCancelled{clock_.unix_s()});
        fmt::print(out_, "{}: cancelled at step {}\n", place, end.ended.step);
        return kExitFinished;
      case NextStep::kHold: {
        const std::string story = end.ended.message.empty() ? "" : ": " + end.ended.message;
        return hold(end.decision.reason + story, failed ? exit_code(end.error) : kExitFinished);
      }
      case NextStep::kWait:
        fmt::print(out_, "{}: {} at step {}; Slurm puts the job back into the queue\n", place,
                   cause_name(end.ended.cause), end.ended.step);
        return kExitSaved;
      case NextStep::kNextJob:
      case NextStep::kRestartHere:
        return go_on(end, allocation);
      default:
        fmt::print(out_, "{}: finished at step {}; {}\n", place, end.ended.step, run_.directory.report().string());
        return kExitFinished;
    }
  }

  int go_on(const Conclusion& end, SlurmAllocation& allocation) {
    std::vector<std::string> excluded;
    for (const cluster::NodeExcluded& each : record_.state().excluded) excluded.push_back(each.node);
    try {
      const cluster::JobSubmitted next = allocation.next_job(excluded);
      record_.append(next);
      fmt::print(out_, "{}: {} at step {}; job {} goes on\n", run_.directory.path.string(),
                 end.ended.cause == EndCause::kNone ? "stopped" : cause_name(end.ended.cause), end.ended.step,
                 next.job);
      std::fflush(out_);
      allocation.hand_over(next, Allocation::HandOver::kByExit);
      return kExitSaved;
    } catch (const Error& refused) {
      return hold(fmt::format("no next job: {}", refused.what()), exit_code(refused.kind()));
    }
  }

  SlurmJob job_;
  std::filesystem::path spec_;
  PreparedRun run_;
  cluster::RunRecord record_;
  const Clock& clock_;
  std::FILE* out_;
  Log log_;
};

}  // namespace

int supervise_job(const std::filesystem::path& spec, std::FILE* out, const Clock& clock) {
  raise_descriptor_limit();
  std::setvbuf(out, nullptr, _IOLBF, 1 << 16);
  return JobSupervision(std::filesystem::absolute(spec), out, clock).run();
}

}  // namespace stoa::launcher

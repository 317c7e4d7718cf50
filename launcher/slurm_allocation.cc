#include "stoa/launcher/slurm_allocation.h"

#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <filesystem>

#include "stoa/base/error.h"
#include "stoa/launcher/run_preparation.h"

namespace stoa::launcher {
namespace {

/// slurmctld looks at limits twice a minute: a job that was stopped so near its limit was stopped by it.
constexpr double kLimitSlack_s = 35;

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string found_program(const std::string& name) {
  const auto found = find_program(name);
  if (!found) throw ResourceError("{} is not found on this node (Debian: slurm-client)", name);
  return found->string();
}

cluster::EndCause cause_of_state(const std::string& state) {
  using cluster::EndCause;
  if (state.starts_with("NODE_FAIL") || state.starts_with("BOOT_FAIL")) return EndCause::kNodeFailure;
  if (state.starts_with("PREEMPTED")) return EndCause::kPreemption;
  if (state.starts_with("REQUEUED")) return EndCause::kRequeue;
  if (state.starts_with("TIMEOUT") || state.starts_with("DEADLINE")) return EndCause::kTimeLimit;
  if (state.starts_with("CANCELLED")) return EndCause::kCancel;
  return EndCause::kUnknown;
}

}  // namespace

cluster::EndCause accounted_cause(const cluster::AttemptStarted& attempt, const cluster::Slurm& slurm) {
  const std::string ids[] = {attempt.job};
  cluster::EndCause cause = cluster::EndCause::kUnknown;
  // The run of the job in which the attempt began is the last that started before it.
  for (const cluster::AccountedJob& row : slurm.accounts(ids).rows)
    if (row.start > 0 && row.start <= attempt.time + 1) cause = cause_of_state(row.state);
  return cause;
}

void refuse_live_job(const RunDirectory& run, const cluster::RunState& state) {
  using cluster::RunPhase;
  // A job that came to one of these decisions has nothing more to do, even where Slurm has not seen it end yet.
  const bool decided = state.phase == RunPhase::kPaused || state.phase == RunPhase::kHeld ||
                       state.phase == RunPhase::kCancelled || state.phase == RunPhase::kFinished;
  const cluster::Attempt* running = state.running();
  const std::string job = running != nullptr ? running->started.job : state.job ? state.job->job : "";
  if (decided || job.empty()) return;
  const bool is_open = running != nullptr || state.phase == RunPhase::kQueued;
  if (!cluster::Slurm::is_here()) {
    if (is_open)
      throw ResourceError("{}: job {} works on this run, and this machine has no Slurm to ask", run.path.string(), job);
    return;
  }
  const std::string ids[] = {job};
  const auto queue = cluster::Slurm().queue(ids);
  if (!queue.unreachable.empty() && is_open)
    throw ResourceError("{}: job {} works on this run, and Slurm cannot be asked: {}", run.path.string(), job,
                        queue.unreachable);
  for (const cluster::QueuedJob& row : queue.rows)
    for (const char* live : {"PENDING", "RUNNING", "SUSPENDED", "COMPLETING", "CONFIGURING", "REQUEUED"})
      if (row.state == live)
        throw UsageError("{}: job {} of this run is {} already; stoa pause and stoa cancel take the run's directory",
                         run.path.string(), job, row.state);
}

SlurmJob job_from_environment() {
  SlurmJob job{.id = variable("SLURM_JOB_ID"),
               .cluster = variable("SLURM_CLUSTER_NAME"),
               .restart = 0,
               .node_list = variable("SLURM_JOB_NODELIST")};
  if (job.id.empty() || job.node_list.empty())
    throw UsageError("this is no job of Slurm's: SLURM_JOB_ID is not set; `stoa submit` makes one");
  const std::string restarts = variable("SLURM_RESTART_COUNT");
  std::from_chars(restarts.data(), restarts.data() + restarts.size(), job.restart);
  return job;
}

std::vector<std::string> batch_words(const cluster::BatchJob& job, const std::string& spec) {
  std::vector<std::string> words = sbatch_options(job);
  words.push_back((std::filesystem::path(spec).parent_path() / "stoa-batch.sh").string());
  words.push_back(spec);
  return words;
}

SlurmAllocation::SlurmAllocation(SlurmJob job, cluster::BatchJob batch, std::string spec, const Clock& clock)
    : job_(std::move(job)),
      batch_(std::move(batch)),
      program_((std::filesystem::path(spec).parent_path() / "program/stoa-train").string()),
      spec_(std::move(spec)),
      clock_(clock),
      srun_(found_program("srun")),
      scancel_(found_program("scancel")),
      all_nodes_(slurm_.host_names(job_.node_list)) {
  const std::string id[] = {job_.id};
  const auto rows = slurm_.queue(id).rows;
  if (!rows.empty() && rows.front().end > 0) end_unix_s_ = rows.front().end;
}

void SlurmAllocation::broadcast_program() {
  if (batch_.settings.program != cluster::ProgramDelivery::kBroadcast) return;
  const std::string there = fmt::format("/tmp/stoa-train-{}.{}", job_.id, job_.restart);
  const CommandResult result = run_command({found_program("sbcast"), "--force", "--preserve", program_, there}, 300);
  if (!result.is_good()) throw ResourceError("sbcast of {} to {}: {}", program_, there, result.error_output);
  program_ = there;
}

void SlurmAllocation::remove_program() {
  if (!program_.starts_with("/tmp/stoa-train-")) return;
  run_command(
      {srun_, "--mpi=none", "--overlap", "--no-kill", "--quiet", "--ntasks-per-node=1", "/bin/rm", "-f", program_}, 30);
}

std::string SlurmAllocation::attempt_prefix() const { return fmt::format("{}.{}.", job_.id, job_.restart); }

void SlurmAllocation::describe(cluster::AttemptStarted& started) const {
  started.job = job_.id;
  started.restart = job_.restart;
}

std::vector<std::string> SlurmAllocation::nodes() {
  const auto healthy = slurm_.healthy_nodes(job_.node_list);
  if (!healthy) return all_nodes_;  // the controller is away: what does not answer shows at the start
  std::vector<std::string> usable;
  for (const std::string& node : all_nodes_)
    if (std::find(healthy->begin(), healthy->end(), node) != healthy->end()) usable.push_back(node);
  return usable;
}

std::vector<std::string> SlurmAllocation::srun_words(std::span<const std::string> nodes, int ranks) const {
  const cluster::SlurmSettings& s = batch_.settings;
  const int per_node = std::min<int>(s.tasks_per_node, ranks);
  std::vector<std::string> words{srun_, "--mpi=pmix",
                                 // Without it the others of a killed rank wait for ever.
                                 "--kill-on-bad-exit=1",
                                 // What is left of a step before must not keep the next one waiting.
                                 "--overlap", fmt::format("--nodes={}", nodes.size()),
                                 fmt::format("--ntasks={}", ranks), fmt::format("--ntasks-per-node={}", per_node),
                                 "--nodelist=" + cluster::node_list(nodes), "--unbuffered"};
  if (s.cpus_per_task > 0) words.push_back(fmt::format("--cpus-per-task={}", s.cpus_per_task));
  return words;
}

ProcessSettings SlurmAllocation::ranks(const RankLaunch& launch) {
  ProcessSettings settings{.argv = srun_words(launch.nodes, launch.ranks), .environment = launch.environment};
  settings.argv.insert(settings.argv.end(), {program_, launch.spec.string(), "--attempt", launch.attempt});
  settings.argv.insert(settings.argv.end(), launch.overrides.begin(), launch.overrides.end());
  settings.parent_death_signal = SIGTERM;
  return settings;
}

std::optional<ProcessSettings> SlurmAllocation::preflight(std::span<const std::string> nodes, Check check) {
  if (!batch_.settings.preflight.value_or(true) || all_nodes_.size() < 2) return std::nullopt;
  if (check == Check::kLinks && nodes.size() < 2) return std::nullopt;
  ProcessSettings settings{.argv = {srun_, check == Check::kNodes ? "--mpi=none" : "--mpi=pmix", "--overlap",
                                    "--no-kill", "--quiet", fmt::format("--nodes={}", nodes.size()),
                                    fmt::format("--ntasks={}", nodes.size()), "--ntasks-per-node=1",
                                    "--nodelist=" + cluster::node_list(nodes), "--unbuffered"}};
  if (batch_.settings.cpus_per_task > 0)
    settings.argv.push_back(fmt::format("--cpus-per-task={}", batch_.settings.cpus_per_task));
  settings.argv.insert(settings.argv.end(),
                       {program_, spec_, "--preflight", check == Check::kNodes ? "node" : "links"});
  return settings;
}

// The supervisor's order waits for each rank that comes. A signal would reach those that are still starting, and the
// sentinel, and end them.
void SlurmAllocation::ask_ranks_to_save(Process&) {}

// Slurm kills the steps; srun, which is asked too, does so even where Slurm cannot be asked. (scancel --signal=KILL of
// a job would end the whole job, and srun alone first waits for ranks that do not listen.)
void SlurmAllocation::kill_ranks(Process& starter) {
  for (const std::string& step : slurm_.steps(job_.id)) run_command({scancel_, "--signal=KILL", step}, 5);
  starter.signal(SIGTERM);
}

void SlurmAllocation::force_ranks(Process& starter) { starter.signal_group(SIGKILL); }

OutsideNews SlurmAllocation::news() {
  using cluster::EndCause;
  const std::string line = slurm_.describe_job(job_.id);
  std::string state = cluster::scontrol_field(line, "JobState");
  const std::string reason = cluster::scontrol_field(line, "Reason");
  const std::string preempted = cluster::scontrol_field(line, "PreemptTime");
  OutsideNews news{.is_over = !state.empty() && state != "RUNNING"};
  if (state == "COMPLETING") {
    const std::string ids[] = {job_.id};
    const auto accounts = slurm_.accounts(ids);
    if (!accounts.rows.empty()) state = accounts.rows.back().state;
  }
  const auto is = [&](EndCause cause, std::string text) {
    news.cause = cause;
    news.text = std::move(text);
    return news;
  };
  if (state == "PREEMPTED" || (!preempted.empty() && preempted != "None" && preempted != "Unknown")) {
    // Slurm requeues a job that it had to kill. One that has saved and ends before is a failed job to it: it asks
    // itself.
    news.continues_itself = news.is_over;
    news.is_over = true;
    return is(EndCause::kPreemption, "preempted by a job of higher priority");
  }
  if (state == "REQUEUED" || state == "PENDING" || state.starts_with("REQUEUE")) {
    news.continues_itself = true;
    return is(EndCause::kRequeue, "the job was requeued");
  }
  if (reason.find("Limit") != std::string::npos && (reason.starts_with("Assoc") || reason.starts_with("QOS")))
    return is(EndCause::kBudget, fmt::format("Slurm ended it: {}", reason));
  const bool near = end_unix_s_ && clock_.unix_s() >= *end_unix_s_ - batch_.settings.warning_s - kLimitSlack_s;
  if (state == "TIMEOUT" || near) return is(EndCause::kTimeLimit, "");
  if (state.starts_with("CANCELLED")) return is(EndCause::kCancel, "the job was cancelled");
  const auto usable = nodes();
  for (const std::string& node : all_nodes_)
    if (std::find(usable.begin(), usable.end(), node) == usable.end()) {
      news.continues_itself = state == "NODE_FAIL";
      return is(EndCause::kNodeFailure, fmt::format("{} does not answer", node));
    }
  if (news.is_over) return is(EndCause::kCancel, fmt::format("someone ended the job ({})", state));
  return news;
}

cluster::JobSubmitted SlurmAllocation::next_job(std::span<const std::string> excluded) {
  cluster::JobSubmitted event{.time = clock_.unix_s(), .job = job_.id, .cluster = job_.cluster, .user = user_name()};
  // A requeued job keeps the options it was submitted with: leaving a node out takes a new one.
  const bool new_job = batch_.settings.continue_by == cluster::ContinueBy::kSuccessor || !excluded.empty();
  if (new_job) {
    cluster::BatchJob next = batch_;
    next.exclude = cluster::node_list(excluded);
    next.settings.begin.clear();
    next.settings.dependency = "afterany:" + job_.id;
    event.how = cluster::SubmitWay::kSuccessor;
    event.job = slurm_.submit(batch_words(next, spec_)).job;
    return event;
  }
  event.how = cluster::SubmitWay::kRequeue;
  return event;
}

// With ContinueBy::kExitCode Slurm requeues a job that ends with 75, as the batch script does.
void SlurmAllocation::hand_over(const cluster::JobSubmitted& next, HandOver how) {
  if (next.how == cluster::SubmitWay::kSuccessor) {
    if (how == HandOver::kByOrder) slurm_.cancel(job_.id);
  } else if (how == HandOver::kByOrder || batch_.settings.continue_by == cluster::ContinueBy::kRequeue) {
    slurm_.requeue(job_.id);
  }
}

// On the last node: the spare ones are there.
void SlurmAllocation::stand_guard() {
  if (all_nodes_.size() < 2 || (sentinel_ && sentinel_->is_standing())) return;
  sentinel_.reset();
  const std::string own = host_name();
  const auto usable = nodes();
  const auto node = std::find_if(usable.rbegin(), usable.rend(), [&](const std::string& each) {
    return each != own && own.substr(0, own.find('.')) != each;
  });
  if (node == usable.rend()) return;
  ProcessSettings command{.argv = {srun_, "--mpi=none", "--overlap", "--nodes=1", "--ntasks=1", "--nodelist=" + *node,
                                   "--no-kill", "--unbuffered", "--mem=0",
                                   (std::filesystem::path(spec_).parent_path() / "program/stoa").string(), "supervise",
                                   "--sentinel", spec_}};
  command.parent_death_signal = SIGKILL;
  sentinel_ = std::make_unique<Sentinel>(command, *node);
}

}  // namespace stoa::launcher

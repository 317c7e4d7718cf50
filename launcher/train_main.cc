// stoa-train: one rank of a run, started by mpirun or srun. `stoa run` is the command for people.
#include <sys/prctl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string_view>
#include <thread>

#include "stoa/base/clock.h"
#include "stoa/base/error.h"
#include "stoa/base/processors.h"
#include "stoa/launcher/build_identity.h"
#include "stoa/launcher/experiment.h"
#include "stoa/launcher/node_check.h"
#include "stoa/launcher/rank_binding.h"
#include "stoa/launcher/rank_reporter.h"
#include "stoa/launcher/training_rank.h"
#include "stoa/parallel/mpi_communicator.h"
#include "stoa/parallel/mpi_session.h"
#include "stoa/trainer/loop/metrics.h"

namespace {

constexpr std::string_view kUsage =
    "usage: stoa-train SPEC [--attempt ID] [--preflight node|links] [KEY=VALUE ...]\n"
    "One rank of a training run; started by mpirun or srun, one process a rank. SPEC is RUN/spec.yaml, which `stoa "
    "run`\n"
    "writes; metrics go to RUN/metrics.jsonl and standard output, checkpoints to RUN/checkpoints, the end to\n"
    "RUN/outcome.json. KEY=VALUE replaces a value of the spec. --preflight checks\n"
    "the node it is started on, or over MPI the links between nodes, and trains nothing. SIGUSR2 and SIGTERM ask for "
    "an orderly stop: "
    "save at "
    "the next step, then end.\n"
    "Exit codes: 0 in order (see outcome.json), else the kind of error that `stoa --help` lists.\n";

/// For a rank that failed to write its outcome and end the job before those that it let down do.
constexpr auto kTimeOfTheFirst = std::chrono::seconds(5);

/// The rank whose deadline passes first may have waited for one that waits itself: both have something to tell.
constexpr auto kTimeOfTheOthers = std::chrono::seconds(1);

volatile std::sig_atomic_t stop_flag = 0;

void ask_to_stop(int) { stop_flag = 1; }

pid_t starter = 0;

/// The signal comes also where only a thread of the starter ended: then nothing has happened.
void end_with_starter(int) {
  if (::getppid() != starter) ::_exit(stoa::exit_code(stoa::ErrorKind::kComm));
}

/// A rank ends with the process that started it: an mpirun killed by SIGKILL can tell its ranks nothing.
void follow_starter() {
  starter = ::getppid();
  std::signal(SIGHUP, end_with_starter);
  ::prctl(PR_SET_PDEATHSIG, SIGHUP);
}

stoa::launcher::RankOptions parse(int count, char** arguments) {
  stoa::launcher::RankOptions options;
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--attempt" && i + 1 < count)
      options.attempt = arguments[++i];
    else if (argument == "--preflight" && i + 1 < count)
      options.preflight = arguments[++i];
    else if (options.spec.empty() && !argument.starts_with('-'))
      options.spec = argument;
    else if (!argument.starts_with('-') && argument.find('=') != std::string_view::npos)
      options.overrides.emplace_back(argument);
    else
      throw stoa::UsageError("stoa-train: unexpected '{}'\n{}", argument, kUsage);
  }
  if (options.spec.empty()) throw stoa::UsageError("stoa-train: SPEC is missing\n{}", kUsage);
  return options;
}

int exit_code_of(const std::exception& failure) {
  const auto* known = dynamic_cast<const stoa::Error*>(&failure);
  return stoa::exit_code(known != nullptr ? known->kind() : stoa::ErrorKind::kInternal);
}

/// For MPI_Init; where the spec is wrong, all ranks tell so after it.
double start_deadline_s(const stoa::launcher::RankOptions& options) {
  try {
    return stoa::launcher::read_experiment(options.spec, options.overrides).parallel.deadline_s;
  } catch (const stoa::Error&) {
    return stoa::trainer::ParallelSettings().deadline_s;
  }
}

/// Tells how this rank failed. Where another rank failed first, that one has the story and ends the job: this one tells
/// its own only if nothing of the kind happens.
void tell_failure(const stoa::launcher::RankOptions& options, const stoa::parallel::Communicator& ranks,
                  const std::exception& failure, stoa::Log& log) {
  const bool lost = exit_code_of(failure) == stoa::exit_code(stoa::ErrorKind::kComm);
  if (lost && ranks.ledgers().first_loss() == stoa::parallel::GroupLoss::kTold)
    std::this_thread::sleep_for(kTimeOfTheFirst);
  log.error("{}", failure.what());
  if (lost) log.error("last collectives of rank {}:\n{}", ranks.rank(), ranks.ledgers().describe());
  stoa::launcher::write_failure(options, ranks.rank(), failure, log);
  if (lost) std::this_thread::sleep_for(kTimeOfTheOthers);
}

/// This rank's line to the supervisor; none where none started it.
std::unique_ptr<stoa::launcher::RankReporter> report_to(
    const std::optional<stoa::launcher::SupervisorAddress>& supervisor, const stoa::launcher::RankOptions& options,
    const stoa::parallel::Communicator& ranks, const stoa::trainer::LoopProgress& progress,
    const std::string& binding) {
  if (!supervisor) return nullptr;
  const auto beat = [&ranks, &progress] {
    stoa::launcher::Heartbeat now{.phase = progress.phase,
                                  .step = progress.step,
                                  .changes = progress.changes + ranks.ledgers().calls(),
                                  .step_s = progress.step_s};
    if (const auto waiting = ranks.ledgers().waiting()) {
      now.waiting = waiting->call;
      now.waiting_s = waiting->since_s;
    }
    return now;
  };
  const auto obey = [](stoa::launcher::SupervisorOrder) { stop_flag = 1; };
  return std::make_unique<stoa::launcher::RankReporter>(
      *supervisor,
      stoa::launcher::RankGreeting{.rank = ranks.rank(),
                                   .attempt = options.attempt,
                                   .host = stoa::trainer::host_name(),
                                   .build = stoa::launcher::loaded_build(),
                                   .binding = binding},
      stoa::launcher::RankReporter::Sources{.beat = beat, .obey = obey});
}

/// Runs a rank between MPI_Init and MPI_Finalize; a failure ends all ranks with its code.
void run_rank(const stoa::launcher::RankOptions& options) {
  // Before MPI starts what could inherit the secret.
  const auto supervisor = stoa::launcher::supervisor_from_environment();
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  const stoa::launcher::RankBinding binding =
      stoa::launcher::choose_binding(variable, stoa::allowed_processors(), "/sys");
  use_fabric_cards(binding);
  stoa::parallel::MpiSession session(start_deadline_s(options));
  stoa::Log log(stderr, "stoa-train");
  try {
    const double deadline_s = stoa::launcher::read_experiment(options.spec, options.overrides).parallel.deadline_s;
    stoa::parallel::MpiCommunicator ranks(session, deadline_s);
    stoa::Log rank_log(stderr, fmt::format("rank {}", ranks.rank()),
                       ranks.rank() == 0 ? stoa::LogLevel::kInfo : stoa::LogLevel::kError);
    stoa::trainer::LoopProgress progress;
    const auto reporter = report_to(supervisor, options, ranks, progress, to_text(binding));
    try {
      stoa::launcher::train_rank(
          options, ranks, rank_log, [] { return stop_flag != 0; }, progress);
    } catch (const std::exception& failure) {
      tell_failure(options, ranks, failure, rank_log);
      session.abort(exit_code_of(failure));
    }
  } catch (const std::exception& failure) {
    log.error("{}", failure.what());
    session.abort(exit_code_of(failure));
  }
}

void say(const std::string& line) {
  std::fwrite((line + "\n").data(), 1, line.size() + 1, stdout);
  std::fflush(stdout);
}

/// Without MPI: a node on which MPI cannot start tells why.
void check_node(const stoa::launcher::RankOptions& options) {
  const stoa::SystemClock clock;
  const auto experiment = stoa::launcher::read_experiment(options.spec, options.overrides);
  stoa::trainer::cpu::Queue queue({.threads = stoa::threads_or_all(experiment.parallel.threads_per_rank)});
  say(to_line(stoa::launcher::measure_node(options.spec.parent_path(), queue, clock)));
}

void check_links() {
  const stoa::SystemClock clock;
  constexpr double kDeadline_s = 30;
  stoa::parallel::MpiSession session(kDeadline_s);
  stoa::parallel::MpiCommunicator nodes(session, kDeadline_s);
  for (const auto& link : stoa::launcher::measure_links(nodes, clock)) say(to_line(link));
  nodes.barrier("end of the check");
}

void run(const stoa::launcher::RankOptions& options) {
  if (options.preflight.empty()) return run_rank(options);
  if (options.preflight == "node") return check_node(options);
  if (options.preflight == "links") return check_links();
  throw stoa::UsageError("stoa-train: --preflight is node or links\n{}", kUsage);
}

}  // namespace

int main(int count, char** arguments) {
  if (count == 2 && (std::string_view(arguments[1]) == "--help" || std::string_view(arguments[1]) == "-h")) {
    std::fwrite(kUsage.data(), 1, kUsage.size(), stdout);
    return 0;
  }
  std::signal(SIGUSR2, ask_to_stop);
  std::signal(SIGTERM, ask_to_stop);
  // Writing to a closed pipe or beyond the limit of a file's size fails with an error that names the place.
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  follow_starter();
  try {
    run(parse(count, arguments));
    return 0;
  } catch (const std::exception& failure) {
    stoa::Log(stderr, "stoa-train", stoa::LogLevel::kInfo).error("{}", failure.what());
    return exit_code_of(failure);
  }
}

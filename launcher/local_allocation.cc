#include "stoa/launcher/local_allocation.h"

#include <signal.h>
#include <unistd.h>

#include "stoa/base/error.h"

namespace stoa::launcher {
namespace {

std::string program_or_refuse(const std::string& name, const std::string& advice) {
  const auto found = find_program(name);
  if (!found) throw ResourceError("{} is not found: {}", name, advice);
  return found->string();
}

}  // namespace

std::string training_program() {
  const std::string beside = (own_program().parent_path() / "stoa-train").string();
  return find_program(beside) ? beside : program_or_refuse("stoa-train", "it belongs beside stoa or in PATH");
}

ProcessSettings rank_command(const RankCommand& command) {
  const std::string mpirun = program_or_refuse("mpirun", "Debian has it in the package openmpi-bin");
  ProcessSettings settings;
  // The slots are given, because mpirun counts cores and would refuse a rank for each hardware thread.
  // Quiet: how an attempt ended is told by the rank that failed and by `stoa`, not by banners of mpirun.
  settings.argv = {mpirun,      "--quiet",
                   "--bind-to", "none",
                   "--host",    fmt::format("localhost:{}", command.ranks),
                   "-np",       fmt::format("{}", command.ranks)};
  settings.argv.insert(settings.argv.end(), {training_program(), command.spec.string(), "--attempt", command.attempt});
  settings.argv.insert(settings.argv.end(), command.overrides.begin(), command.overrides.end());
  // mpirun ends its ranks on SIGTERM; killed by SIGKILL it would leave them behind.
  settings.parent_death_signal = SIGTERM;
  if (::geteuid() == 0)
    settings.environment = {{"OMPI_ALLOW_RUN_AS_ROOT", "1"}, {"OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"}};
  return settings;
}

ProcessSettings LocalAllocation::ranks(const RankLaunch& launch) {
  ProcessSettings settings =
      ranks_({.spec = launch.spec, .attempt = launch.attempt, .ranks = launch.ranks, .overrides = launch.overrides});
  settings.environment.insert(launch.environment.begin(), launch.environment.end());
  return settings;
}

// mpirun passes the signal on.
void LocalAllocation::ask_ranks_to_save(Process& starter) { starter.signal(SIGUSR2); }

// mpirun kills its ranks when it is asked; whoever does not listen is killed a little later.
void LocalAllocation::kill_ranks(Process& starter) { starter.signal_group(SIGTERM); }

void LocalAllocation::force_ranks(Process& starter) { starter.signal_group(SIGKILL); }

void LocalAllocation::hand_over(const cluster::JobSubmitted&, HandOver) {}

cluster::JobSubmitted LocalAllocation::next_job(std::span<const std::string>) {
  throw InternalError("this machine has no queue to continue a run in");
}

}  // namespace stoa::launcher

#pragma once
/// The sentinel of a job: a process on another node than the supervisor's, which gives the job back to the queue when
/// the supervisor is gone with its node.
///
/// A job that may lose nodes (--no-kill) goes on when its batch node dies: Slurm 22.05 takes the node out of it and
/// leaves the rest without a batch script, until the time limit. The supervisor starts `stoa supervise --sentinel` on
/// another node and sends it a heartbeat a second.
#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>

#include "stoa/base/clock.h"
#include "stoa/base/process.h"
#include "stoa/launcher/rank_reporter.h"

namespace stoa::launcher {

/// So long without a heartbeat, and the supervisor is taken for dead.
inline constexpr double kSentinelPatience_s = 20;

/// Runs until it has handed the job over; whoever started it ends it before. Prints its port as its first line.
/// Returns 0; throws what Slurm says where the job cannot be handed over.
int stand_sentinel(const std::filesystem::path& spec, std::FILE* out, const Clock& clock);

/// The supervisor's side: the process that keeps the sentinel's step, and the line to it.
class Sentinel {
 public:
  /// Starts it by `command` (srun on that node), whose output is its port. Nothing is thrown where it does not come up
  /// within some seconds: is_standing() tells.
  Sentinel(ProcessSettings command, std::string node);

  bool is_standing();
  const std::string& node() const { return node_; }

 private:
  std::string node_;
  std::string secret_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<RankReporter> line_;
};

}  // namespace stoa::launcher

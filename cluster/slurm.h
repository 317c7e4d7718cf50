#pragma once
/// Slurm as its commands tell it: sbatch, squeue, sacct, scontrol, scancel. Each call is one child process, never a
/// loop of them (sacct(1) warns of what loops do to slurmdbd). Tested against Slurm 22.05.
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace stoa::cluster {

/// A row of squeue. Times are seconds since 1970-01-01 UTC, 0 where Slurm knows none yet.
struct QueuedJob {
  std::string id;
  std::string state;   ///< "PENDING", "RUNNING", "COMPLETING", ...
  std::string reason;  ///< why it waits: "Priority", "AssocGrpCPUMinutesLimit", ...
  std::int64_t restarts = 0;
  double submitted = 0;
  double start = 0;  ///< expected, while it waits
  double end = 0;    ///< at the limit
  std::string nodes;
  std::string comment;
};

/// A row of sacct: one run of a job, of which each requeue makes another.
struct AccountedJob {
  std::string id;
  std::string state;  ///< "COMPLETED", "TIMEOUT", "NODE_FAIL", "PREEMPTED", "REQUEUED", "CANCELLED by 2001", ...
  double submitted = 0;
  double start = 0;
  double end = 0;
  std::int64_t elapsed_s = 0;
  std::string exit_code;  ///< "0:0"
  std::string nodes;
  double energy_j = 0;
};

/// What a query found, or why it could not be made: the caller goes on without.
template <typename Row>
struct SlurmAnswer {
  std::vector<Row> rows;
  std::string unreachable;  ///< the command's own words; empty: `rows` is the truth
};

SlurmAnswer<QueuedJob> parse_queue(std::string_view output);
SlurmAnswer<AccountedJob> parse_accounts(std::string_view output);

/// The field KEY=value of a line of `scontrol -o show ...`; empty where it is not there.
std::string scontrol_field(std::string_view line, std::string_view key);

class Slurm {
 public:
  /// ResourceError naming the package where a command is missing.
  Slurm();

  /// Whether sbatch is in PATH.
  static bool is_here();

  /// `sbatch --parsable OPTIONS SCRIPT ARGUMENTS`. ConfigError with sbatch's words where it refuses, ResourceError
  /// where the controller cannot be reached.
  struct Submitted {
    std::string job;
    std::string cluster;  ///< empty: the only one
  };
  Submitted submit(std::span<const std::string> words) const;

  /// The same with --test-only: when it might start, in sbatch's words. ConfigError where it refuses.
  std::string estimate_start(std::span<const std::string> words) const;

  /// Of these jobs, in one call; jobs that Slurm has forgotten are not among them.
  SlurmAnswer<QueuedJob> queue(std::span<const std::string> jobs) const;
  /// All waiting and running jobs of this user, in one call.
  SlurmAnswer<QueuedJob> own_queue() const;
  /// Every run of these jobs, oldest first, in one call.
  SlurmAnswer<AccountedJob> accounts(std::span<const std::string> jobs) const;
  /// One line; empty where Slurm cannot be reached or has forgotten the job.
  std::string describe_job(const std::string& job) const;
  /// Steps of a job that run now, without its batch script: "812.0".
  std::vector<std::string> steps(const std::string& job) const;
  /// Names in a node list as Slurm writes it: "node[1-3]".
  std::vector<std::string> host_names(const std::string& list) const;
  /// Of these nodes, those that answer: not down, drained or failing. Nothing where Slurm cannot be reached.
  std::optional<std::vector<std::string>> healthy_nodes(const std::string& list) const;

  /// These throw ResourceError with the command's words where Slurm refuses or cannot be reached.
  void requeue(const std::string& job) const;
  void cancel(const std::string& job) const;
  /// To the batch script alone.
  void signal_batch(const std::string& job, std::string_view signal) const;

 private:
  std::string program(const std::string& name) const;
  SlurmAnswer<QueuedJob> ask_queue(std::vector<std::string> which) const;
  void order(std::vector<std::string> argv) const;

  std::map<std::string, std::string> programs_;
};

}  // namespace stoa::cluster

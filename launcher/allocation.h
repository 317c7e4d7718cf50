#pragma once
/// Where the ranks of a run are started: this machine through mpirun, or a job's nodes through srun. What differs
/// between the two stands behind this seam; the supervisor is the same.
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/base/process.h"
#include "stoa/cluster/run_events.h"

namespace stoa::launcher {

/// One attempt's ranks, to be started.
struct RankLaunch {
  std::filesystem::path spec;
  std::string attempt;
  int ranks = 1;
  std::vector<std::string> overrides;  ///< of the spec: the layout of this attempt
  std::vector<std::string> nodes;      ///< to use
  std::map<std::string, std::string> environment;
};

/// What the scheduler knows about a job that was asked to stop or lost ranks.
struct OutsideNews {
  cluster::EndCause cause = cluster::EndCause::kUnknown;  ///< kUnknown: it knows of nothing
  std::string text;
  bool continues_itself = false;  ///< the scheduler puts the job back into the queue by itself
  bool is_over = false;           ///< nothing more can be started in this allocation
};

class Allocation {
 public:
  virtual ~Allocation() = default;

  /// Called before each attempt: what has to be there for the case that this process is lost with its node.
  virtual void stand_guard() = 0;
  /// What stands before the number of a launch in an attempt's name: "812.0."; empty without a scheduler.
  virtual std::string attempt_prefix() const = 0;
  /// Fills in job, restart and nodes.
  virtual void describe(cluster::AttemptStarted& started) const = 0;
  /// Nodes that answer now, in the scheduler's order.
  virtual std::vector<std::string> nodes() = 0;
  /// Ranks that a node takes.
  virtual int ranks_per_node() const = 0;
  /// Of a node, that the job asked for; 0: it did not.
  virtual double memory_gib() const = 0;
  virtual ProcessSettings ranks(const RankLaunch& launch) = 0;
  /// The name of what starts them: "srun".
  virtual std::string_view starter() const = 0;
  /// What checks these nodes before the ranks start and prints node_check.h's lines; nothing where it is not wanted.
  enum class Check { kNodes, kLinks };
  virtual std::optional<ProcessSettings> preflight(std::span<const std::string> nodes, Check check) = 0;
  /// Orders go over the ranks' lines to the supervisor; this is a way beside it, where there is one.
  virtual void ask_ranks_to_save(Process& starter) = 0;
  /// All of them, at once.
  virtual void kill_ranks(Process& starter) = 0;
  /// Those that are still there some seconds later, and what started them.
  virtual void force_ranks(Process& starter) = 0;
  /// Whether the ranks of one that died are to be killed: what starts them does not do so by itself at once.
  virtual bool outlive_each_other() const = 0;
  /// When the machine takes the nodes back; nothing: never.
  virtual std::optional<double> end_unix_s() = 0;
  /// Asked when an attempt has stopped or lost ranks without an order of the supervisor's.
  virtual OutsideNews news() = 0;
  /// Whether a second request to stop kills the ranks: a person at a terminal who asks twice.
  virtual bool stops_at_second_request() const = 0;

  /// The next job of the chain, without these nodes: submits a successor, or names this job where it is to be given
  /// back to the queue. Returns its event, to be recorded before hand_over(). Throws what the scheduler says.
  virtual cluster::JobSubmitted next_job(std::span<const std::string> excluded) = 0;
  /// Gives this job back to the queue, where that is the way: the scheduler may end this process at once. `kByExit`:
  /// this process is the batch script and ends with 75, which can be enough; `kByOrder`: the batch script is gone.
  enum class HandOver { kByExit, kByOrder };
  virtual void hand_over(const cluster::JobSubmitted& next, HandOver how) = 0;
};

}  // namespace stoa::launcher

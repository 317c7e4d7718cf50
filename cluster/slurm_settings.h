#pragma once
/// What a job asks Slurm for. The same keys stand in an experiment's `cluster:` section and, as the site's defaults, in
/// a machine file's `slurm:` section: what the experiment leaves out, the machine says.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace stoa {
class YamlFields;
}

namespace stoa::cluster {

/// How program and libraries reach the nodes.
enum class ProgramDelivery {
  kShared,     ///< all nodes see the folder of the `stoa` that submits
  kCopy,       ///< into the run's directory at submit: a later build does not change a run
  kBroadcast,  ///< that copy goes to each node's /tmp at the start of a job (sbcast)
};

/// How a job that saved gets the next one.
enum class ContinueBy {
  kRequeue,    ///< `scontrol requeue` of the same job
  kExitCode,   ///< the site has RequeueExit=75 in slurm.conf
  kSuccessor,  ///< a new job: sites that forbid requeueing
};

/// Empty, 0 and nullopt: not said. Sizes are a job's without spare nodes.
struct SlurmSettings {
  int nodes = 0;           ///< 0: as many as the ranks need
  int tasks_per_node = 0;  ///< ranks of a node; 0: one for each GPU, or 1
  int cpus_per_task = 0;
  int gpus_per_node = 0;
  int spare_nodes = 0;     ///< held beside the others, for when one of them fails
  int memory_gib = 0;      ///< of a node
  std::string time_limit;  ///< "30", "08:00:00", "2-12:00:00"
  std::string partition;
  std::string account;
  std::string qos;
  std::string constraint;
  std::string reservation;
  std::string dependency;  ///< "afterok:812"
  std::string begin;       ///< "2026-12-01T20:00", "now+1hour"
  std::string exclude;     ///< nodes
  std::string licenses;
  std::string mail_type;
  std::string mail_user;
  std::string signal;  ///< the warning before the limit: "USR2"
  int warning_s = 0;   ///< so long before the limit
  std::optional<bool> exclusive;
  std::optional<ProgramDelivery> program;
  std::optional<ContinueBy> continue_by;
  std::vector<std::string> modules;  ///< loaded at the start of a job
  std::optional<bool> preflight;     ///< nodes are checked before the ranks start
  int most_failures = 0;             ///< attempts in a row that get no step further, before the run is held
};

/// Reads and writes the keys, as part of a section.
void describe_slurm(YamlFields& fields, SlurmSettings& settings);

/// `own`, and `site` where own says nothing; last Stoa's defaults: requeue, copy, USR2 120 s before, 3 failures,
/// preflight.
SlurmSettings resolved(const SlurmSettings& own, const SlurmSettings& site);

/// Why a value cannot be given to Slurm, and the key it stands under ("time_limit"); empty where all can. Values reach
/// sbatch as words of its own, never through a shell; in a script that `stoa render` writes they stand in #SBATCH
/// lines, which is what these patterns make harmless.
struct SlurmComplaint {
  std::string key;
  std::string message;
};
std::optional<SlurmComplaint> check_slurm(const SlurmSettings& settings);

/// Seconds of "30" (minutes), "1:30" (minutes:seconds), "08:00:00", "2-12", "2-12:00", "2-12:00:00"; nothing where it
/// is none of these (sbatch(1), --time).
std::optional<double> time_limit_s(std::string_view text);

}  // namespace stoa::cluster

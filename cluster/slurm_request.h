#pragma once
/// A batch job as words for sbatch and srun. Pure.
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "stoa/cluster/slurm_settings.h"

namespace stoa::cluster {

struct BatchJob {
  SlurmSettings settings;  ///< resolved
  std::string name;        ///< of letters, digits and ._-
  std::string log;         ///< absolute path of the job's output; %j is the job's number
  std::string folder;      ///< absolute path: where the job works
  std::int64_t ranks = 1;
  std::string exclude;  ///< nodes that Stoa excluded, beside settings.exclude
};

/// FOLDER/job-%j.log as sbatch reads patterns, where % and \ mean something: a folder with a backslash in its name gets
/// one log for all its jobs, job-all.log.
std::string log_pattern(std::string_view folder);

/// Nodes that the ranks need: ranks / tasks_per_node, rounded up.
std::int64_t nodes_for(std::int64_t ranks, const SlurmSettings& settings);

/// Options of sbatch, one word each: "--nodes=4". Nodes include the spare ones.
std::vector<std::string> sbatch_options(const BatchJob& job);

/// What of these options may stand in a script's #SBATCH lines: all of it, since each has passed a pattern; a path with
/// a space or a sign that sbatch would read as something else is refused with a ConfigError that tells which.
std::string sbatch_lines(std::span<const std::string> options);

/// A word as a POSIX shell reads it back, quoted where it must be.
std::string shell_quoted(std::string_view word);
std::string shell_quoted(std::span<const std::string> words);

/// `a,b` of node names; the names must be plain.
std::string node_list(std::span<const std::string> nodes);

}  // namespace stoa::cluster

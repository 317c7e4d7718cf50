#include "stoa/cluster/slurm_request.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "stoa/base/error.h"

namespace stoa::cluster {
namespace {

constexpr std::string_view kPlain =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    "_-./=,:@%+";

}  // namespace

std::string log_pattern(std::string_view folder) {
  // One backslash anywhere and sbatch replaces nothing in the whole path, but takes each backslash for an escape.
  const bool escaped = folder.find('\\') != std::string_view::npos;
  std::string pattern;
  for (const char c : folder)
    pattern += (escaped && c == '\\') || (!escaped && c == '%') ? std::string(2, c) : std::string(1, c);
  return pattern + (escaped ? "/job-all.log" : "/job-%j.log");
}

std::int64_t nodes_for(std::int64_t ranks, const SlurmSettings& settings) {
  const std::int64_t tasks = std::max(1, settings.tasks_per_node);
  return (ranks + tasks - 1) / tasks;
}

std::vector<std::string> sbatch_options(const BatchJob& job) {
  const SlurmSettings& s = job.settings;
  const std::int64_t nodes = (s.nodes > 0 ? s.nodes : nodes_for(job.ranks, s)) + s.spare_nodes;
  std::vector<std::string> words{
      "--job-name=" + job.name,
      "--output=" + job.log,
      "--open-mode=append",
      "--chdir=" + job.folder,
      fmt::format("--nodes={}", nodes),
      fmt::format("--ntasks-per-node={}", s.tasks_per_node),
      // The rest of the job outlives a node that dies: the supervisor goes on with what is left.
      "--no-kill",
      fmt::format("--signal=B:{}@{}", s.signal, s.warning_s),
      s.continue_by == ContinueBy::kSuccessor ? "--no-requeue" : "--requeue",
  };
  const auto add = [&](std::string_view option, const std::string& value) {
    if (!value.empty()) words.push_back(fmt::format("--{}={}", option, value));
  };
  const auto add_count = [&](std::string_view option, int value, std::string_view unit = "") {
    if (value > 0) words.push_back(fmt::format("--{}={}{}", option, value, unit));
  };
  add_count("cpus-per-task", s.cpus_per_task);
  add_count("gpus-per-node", s.gpus_per_node);
  add_count("mem", s.memory_gib, "G");
  add("time", s.time_limit);
  add("partition", s.partition);
  add("account", s.account);
  add("qos", s.qos);
  add("constraint", s.constraint);
  add("reservation", s.reservation);
  add("dependency", s.dependency);
  add("begin", s.begin);
  add("exclude", s.exclude.empty() || job.exclude.empty() ? s.exclude + job.exclude : s.exclude + "," + job.exclude);
  add("licenses", s.licenses);
  add("mail-type", s.mail_type);
  add("mail-user", s.mail_user);
  if (s.exclusive.value_or(false)) words.push_back("--exclusive");
  return words;
}

std::string sbatch_lines(std::span<const std::string> options) {
  std::string lines;
  for (const std::string& option : options) {
    const std::string_view more = "&|*[]()?";
    const bool plain = std::all_of(option.begin(), option.end(), [&](char c) {
      return kPlain.find(c) != std::string_view::npos || more.find(c) != std::string_view::npos;
    });
    if (!plain)
      throw ConfigError(
          "{} cannot stand in a script that sbatch reads line by line: use `stoa submit`, or a path of "
          "letters, digits and ._-/",
          shell_quoted(option));
    // sbatch takes a line's words as the shell would: | and & are in quotes.
    const bool quotes = option.find_first_of(more) != std::string::npos;
    const std::size_t equals = option.find('=');
    lines += quotes ? fmt::format("#SBATCH {}=\"{}\"\n", option.substr(0, equals), option.substr(equals + 1))
                    : fmt::format("#SBATCH {}\n", option);
  }
  return lines;
}

std::string shell_quoted(std::string_view word) {
  if (!word.empty() && word.find_first_not_of(kPlain) == std::string_view::npos) return std::string(word);
  std::string quoted = "'";
  for (const char c : word) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

std::string shell_quoted(std::span<const std::string> words) {
  std::string line;
  for (const std::string& word : words) line += (line.empty() ? "" : " ") + shell_quoted(word);
  return line;
}

std::string node_list(std::span<const std::string> nodes) { return fmt::format("{}", fmt::join(nodes, ",")); }

}  // namespace stoa::cluster

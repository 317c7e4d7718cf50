#include "stoa/cluster/slurm.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "stoa/base/error.h"
#include "stoa/base/process.h"

namespace stoa::cluster {
namespace {

/// Slurm's commands give up on a controller that is down after a few seconds of their own.
constexpr double kPatience_s = 30;
constexpr char kBetween = '\x1f';

/// Numbers as numbers, times as seconds: what people set for themselves must not change what is read here.
const std::map<std::string, std::string> kPlainAnswers{
    {"SLURM_TIME_FORMAT", "%s"}, {"TZ", "UTC"}, {"LC_ALL", "C.UTF-8"}, {"SLURM_BITSTR_LEN", "0"}};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const std::size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

double number(std::string_view text) {
  double value = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && at == text.data() + text.size() ? value : 0;
}

std::string one_line(std::string_view text) {
  std::string line;
  for (const std::string_view part : split(text, '\n'))
    if (!part.empty()) line += (line.empty() ? "" : "; ") + std::string(part);
  return line;
}

std::string words_of(const CommandResult& result, const std::string& command) {
  if (result.is_late) return fmt::format("{} gave no answer for {} s", command, kPatience_s);
  const std::string said = one_line(result.error_output);
  return said.empty() ? fmt::format("{} ended with {}", command, result.end.exit_code) : said;
}

/// The rows of an output of lines of `fields` fields, the last of which may hold anything but a newline.
std::vector<std::vector<std::string_view>> rows_of(std::string_view output, std::size_t fields) {
  std::vector<std::vector<std::string_view>> rows;
  for (const std::string_view line : split(output, '\n')) {
    auto parts = split(line, kBetween);
    // A line of another number of fields was broken by a name in it: it cannot be trusted.
    if (parts.size() == fields + 1) rows.push_back(std::move(parts));
  }
  return rows;
}

constexpr std::array kQueueFields{"JobID",     "State",   "Reason",   "RestartCnt", "SubmitTime",
                                  "StartTime", "EndTime", "NodeList", "Comment"};
constexpr std::array kAccountFields{"JobIDRaw",          "State",   "Submit", "Start", "End", "ElapsedRaw", "ExitCode",
                                    "ConsumedEnergyRaw", "NodeList"};

/// What the commands say where the controller does not know this host's key.
bool is_stranger(const std::string& words) {
  return words.find("Zero Bytes") != std::string::npos || words.find("uthentication") != std::string::npos;
}

/// Why Slurm takes no job now, in its own words and ours.
[[noreturn]] void throw_unreachable(const std::string& words) {
  throw ResourceError("Slurm takes no jobs now: {}{}", words,
                      is_stranger(words) ? " (as where this host's munge key or clock is not the controller's)" : "");
}

bool is_unreachable(const std::string& words) {
  return words.find("contact slurm controller") != std::string::npos ||
         words.find("gave no answer") != std::string::npos || words.find("onnection") != std::string::npos ||
         is_stranger(words);
}

bool knows_none(const std::string& words) { return words.find("Invalid job id") != std::string::npos; }

}  // namespace

SlurmAnswer<QueuedJob> parse_queue(std::string_view output) {
  SlurmAnswer<QueuedJob> answer;
  for (const auto& row : rows_of(output, kQueueFields.size()))
    answer.rows.push_back({.id = std::string(row[0]),
                           .state = std::string(row[1]),
                           .reason = std::string(row[2]),
                           .restarts = static_cast<std::int64_t>(number(row[3])),
                           .submitted = number(row[4]),
                           .start = number(row[5]),
                           .end = number(row[6]),
                           .nodes = std::string(row[7]),
                           .comment = std::string(row[8])});
  return answer;
}

SlurmAnswer<AccountedJob> parse_accounts(std::string_view output) {
  SlurmAnswer<AccountedJob> answer;
  for (const auto& row : rows_of(output, kAccountFields.size()))
    answer.rows.push_back({.id = std::string(row[0]),
                           .state = std::string(row[1]),
                           .submitted = number(row[2]),
                           .start = number(row[3]),
                           .end = number(row[4]),
                           .elapsed_s = static_cast<std::int64_t>(number(row[5])),
                           .exit_code = std::string(row[6]),
                           .nodes = std::string(row[8]),
                           .energy_j = number(row[7])});
  return answer;
}

std::string scontrol_field(std::string_view line, std::string_view key) {
  for (const std::string_view word : split(line, ' '))
    if (word.size() > key.size() && word.starts_with(key) && word[key.size()] == '=')
      return std::string(word.substr(key.size() + 1));
  return "";
}

Slurm::Slurm() {
  for (const char* name : {"sbatch", "squeue", "sacct", "scontrol", "scancel", "sinfo"}) {
    const auto found = find_program(name);
    if (!found) throw ResourceError("{} is not found: this is no machine with Slurm (Debian: slurm-client)", name);
    programs_[name] = found->string();
  }
}

bool Slurm::is_here() { return find_program("sbatch").has_value(); }

std::string Slurm::program(const std::string& name) const { return programs_.at(name); }

Slurm::Submitted Slurm::submit(std::span<const std::string> words) const {
  std::vector<std::string> argv{program("sbatch"), "--parsable"};
  argv.insert(argv.end(), words.begin(), words.end());
  const CommandResult result = run_command(argv, kPatience_s);
  if (!result.is_good()) {
    const std::string said = words_of(result, "sbatch");
    if (is_unreachable(said)) throw_unreachable(said);
    throw ConfigError("Slurm refuses the job: {}", said);
  }
  const auto parts = split(std::string_view(result.output).substr(0, result.output.find('\n')), ';');
  if (parts.front().empty() || parts.front().find_first_not_of("0123456789") != std::string_view::npos)
    throw ResourceError("sbatch answered '{}' where a job's number was expected", one_line(result.output));
  return {std::string(parts.front()), parts.size() > 1 ? std::string(parts[1]) : std::string()};
}

std::string Slurm::estimate_start(std::span<const std::string> words) const {
  std::vector<std::string> argv{program("sbatch"), "--test-only"};
  argv.insert(argv.end(), words.begin(), words.end());
  const CommandResult result = run_command(argv, kPatience_s);
  const std::string said = words_of(result, "sbatch");
  if (result.is_good()) return said;
  if (is_unreachable(said)) throw_unreachable(said);
  throw ConfigError("Slurm refuses the job: {}", said);
}

SlurmAnswer<QueuedJob> Slurm::ask_queue(std::vector<std::string> which) const {
  std::string format;
  for (const char* field : kQueueFields) format += fmt::format("{}{}:{}", format.empty() ? "" : ",", field, kBetween);
  std::vector<std::string> argv{program("squeue"), "--noheader", "--Format=" + format};
  argv.insert(argv.end(), which.begin(), which.end());
  const CommandResult result = run_command(argv, kPatience_s, kPlainAnswers);
  if (result.is_good()) return parse_queue(result.output);
  const std::string said = words_of(result, "squeue");
  return {.rows = {}, .unreachable = knows_none(said) ? "" : said};
}

SlurmAnswer<QueuedJob> Slurm::queue(std::span<const std::string> jobs) const {
  if (jobs.empty()) return {};
  // Of one unknown job squeue makes an error, of several it leaves the unknown out.
  return ask_queue({"--states=all", fmt::format("--jobs={}", fmt::join(jobs, ","))});
}

SlurmAnswer<QueuedJob> Slurm::own_queue() const { return ask_queue({"--me"}); }

SlurmAnswer<AccountedJob> Slurm::accounts(std::span<const std::string> jobs) const {
  if (jobs.empty()) return {};
  const std::vector<std::string> argv{program("sacct"),
                                      "--duplicates",
                                      "--allocations",
                                      "--noheader",
                                      "--parsable",
                                      "--noconvert",
                                      fmt::format("--delimiter={}", kBetween),
                                      fmt::format("--jobs={}", fmt::join(jobs, ",")),
                                      fmt::format("--format={}", fmt::join(kAccountFields, ","))};
  const CommandResult result = run_command(argv, kPatience_s, kPlainAnswers);
  if (!result.is_good()) return {.rows = {}, .unreachable = words_of(result, "sacct")};
  return parse_accounts(result.output);
}

std::string Slurm::describe_job(const std::string& job) const {
  const CommandResult result =
      run_command({program("scontrol"), "--oneliner", "show", "job", job}, kPatience_s, kPlainAnswers);
  return result.is_good() ? one_line(result.output) : "";
}

std::vector<std::string> Slurm::steps(const std::string& job) const {
  const CommandResult result =
      run_command({program("squeue"), "--steps", "--noheader", "--jobs=" + job, "--format=%i"}, kPatience_s);
  std::vector<std::string> found;
  for (const std::string_view step : split(result.output, '\n'))
    if (const std::size_t dot = step.find('.');
        dot != std::string_view::npos && step.find_first_not_of("0123456789", dot + 1) == std::string_view::npos)
      found.emplace_back(step);
  return found;
}

std::vector<std::string> Slurm::host_names(const std::string& list) const {
  if (list.empty()) return {};
  const CommandResult result = run_command({program("scontrol"), "show", "hostnames", list}, kPatience_s);
  if (!result.is_good()) throw ResourceError("node list '{}': {}", list, words_of(result, "scontrol"));
  std::vector<std::string> names;
  for (const std::string_view name : split(result.output, '\n'))
    if (!name.empty()) names.emplace_back(name);
  return names;
}

std::optional<std::vector<std::string>> Slurm::healthy_nodes(const std::string& list) const {
  const CommandResult result = run_command(
      {program("sinfo"), "--noheader", "--Node", "--nodes=" + list, "--format=%N %T"}, kPatience_s, kPlainAnswers);
  if (!result.is_good()) return std::nullopt;
  std::vector<std::string> names;
  for (const std::string_view line : split(result.output, '\n')) {
    const auto parts = split(line, ' ');
    if (parts.size() != 2) continue;
    // "allocated*": the node does not answer.
    const std::string_view state = parts[1];
    const bool bad = state.ends_with('*') || state.starts_with("down") || state.starts_with("drain") ||
                     state.starts_with("fail") || state.starts_with("unknown") || state.starts_with("powe");
    if (!bad && std::find(names.begin(), names.end(), parts[0]) == names.end()) names.emplace_back(parts[0]);
  }
  return names;
}

void Slurm::order(std::vector<std::string> argv) const {
  const std::string name = argv.front();
  argv.front() = program(name);
  const CommandResult result = run_command(argv, kPatience_s);
  if (!result.is_good()) throw ResourceError("{}", words_of(result, name));
}

void Slurm::requeue(const std::string& job) const { order({"scontrol", "requeue", job}); }
void Slurm::cancel(const std::string& job) const { order({"scancel", job}); }
void Slurm::signal_batch(const std::string& job, std::string_view signal) const {
  order({"scancel", "--batch", fmt::format("--signal={}", signal), job});
}

}  // namespace stoa::cluster

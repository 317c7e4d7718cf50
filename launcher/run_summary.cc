#include "stoa/launcher/run_summary.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ctime>

#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/cluster/machine_file.h"
#include "stoa/cluster/run_metrics.h"
#include "stoa/launcher/run_preparation.h"

namespace stoa::launcher {
namespace {

constexpr std::int64_t kTailBytes = 16 << 10;
constexpr std::string_view kCacheHead = "stoa-status-1";
constexpr char kBetween = '\x1f';

/// The last step line of metrics; the file may be long, so only its end is read.
std::optional<cluster::StepMetrics> last_step(const std::filesystem::path& file) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) return std::nullopt;
  const FileDescriptor fd = open_file(file, O_RDONLY);
  const off_t size = ::lseek(fd.get(), 0, SEEK_END);
  const std::int64_t from = std::max<std::int64_t>(0, size - kTailBytes);
  std::string text(static_cast<std::size_t>(size - from), '\0');
  const ssize_t got = ::pread(fd.get(), text.data(), text.size(), from);
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(0, got)));
  if (from > 0) text.erase(0, text.find('\n') + 1);
  const cluster::RunMetrics tail = cluster::parse_metrics(text, file.string());
  const auto latest = std::max_element(tail.steps.begin(), tail.steps.end(),
                                       [](const auto& a, const auto& b) { return a.time < b.time; });
  return latest == tail.steps.end() ? std::nullopt : std::optional(*latest);
}

std::string last_note(const cluster::RunState& state) {
  if (state.phase == cluster::RunPhase::kHeld) return state.reason;
  if (state.attempts.empty() || !state.attempts.back().ended) return "";
  const cluster::AttemptEnded& ended = *state.attempts.back().ended;
  std::string note(cause_name(ended.cause));
  if (ended.outcome != cluster::AttemptOutcome::kFinished && !ended.message.empty())
    note += (note.empty() ? "" : ": ") + ended.message.substr(0, ended.message.find('\n'));
  return note;
}

double mean_gap(const cluster::RunState& state) {
  double sum = 0;
  int count = 0;
  for (std::size_t i = 1; i < state.attempts.size(); ++i)
    if (state.attempts[i - 1].ended) {
      sum += std::max(0.0, state.attempts[i].started.time - state.attempts[i - 1].ended->time);
      ++count;
    }
  return count > 0 ? sum / count : 0;
}

/// Size, time and inode of a log: what changes with it.
std::string stamp_of(const std::filesystem::path& events) {
  struct stat status {};
  if (::stat(events.c_str(), &status) != 0) return "";
  return fmt::format("{}.{}.{}.{}", status.st_size, status.st_mtim.tv_sec, status.st_mtim.tv_nsec, status.st_ino);
}

struct CacheEntry {
  std::string stamp;
  RunSummary summary;
};
using Cache = std::map<std::string, CacheEntry>;

std::string without_separators(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == kBetween || c == '\n'; }, ' ');
  return text;
}

std::string to_line(const std::string& path, const CacheEntry& entry) {
  const RunSummary& s = entry.summary;
  return fmt::format("{1}{0}{2}{0}{3}{0}{4}{0}{5}{0}{6}{0}{7}{0}{8}{0}{9:.3f}{0}{10}{0}{11}{0}{12}\n", kBetween, path,
                     entry.stamp, s.name, s.phase, s.job, s.attempts, s.step, s.steps, s.changed, s.money_micros,
                     s.currency, without_separators(s.note));
}

template <typename T>
bool read_number(std::string_view text, T& value) {
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && at == text.data() + text.size();
}

/// Lines that cannot be read are left out: the cache is only a cache.
Cache read_cache(const std::filesystem::path& file) {
  Cache cache;
  std::error_code error;
  if (!std::filesystem::is_regular_file(file, error)) return cache;
  const std::string text = read_text_file(file);
  std::string_view rest = text;
  if (!rest.starts_with(kCacheHead)) return cache;
  for (std::size_t end = rest.find('\n'); end != std::string_view::npos; end = rest.find('\n')) {
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    std::array<std::string_view, 12> part;
    std::size_t count = 0;
    for (; count < part.size(); ++count) {
      const std::size_t cut = count + 1 == part.size() ? line.size() : std::min(line.find(kBetween), line.size());
      part[count] = line.substr(0, cut);
      if (cut == line.size()) break;
      line.remove_prefix(cut + 1);
    }
    if (count + 1 != part.size()) continue;
    CacheEntry entry{.stamp = std::string(part[1])};
    RunSummary& s = entry.summary;
    s.directory = std::string(part[0]);
    s.name = part[2];
    s.phase = part[3];
    s.job = part[4];
    s.currency = part[10];
    s.note = part[11];
    const bool good = read_number(part[5], s.attempts) && read_number(part[6], s.step) &&
                      read_number(part[7], s.steps) && read_number(part[8], s.changed) &&
                      read_number(part[9], s.money_micros);
    if (good) cache.emplace(part[0], std::move(entry));
  }
  return cache;
}

/// Whether a job in this state will never run again (squeue(1), JOB STATE CODES). What is none of these Slurm still
/// has: suspended, held, signalled, or a state that is not known here.
bool has_ended(std::string_view state) {
  constexpr std::string_view kEnds[] = {"BOOT_FAIL", "CANCELLED",     "COMPLETED", "DEADLINE", "FAILED",
                                        "NODE_FAIL", "OUT_OF_MEMORY", "PREEMPTED", "REVOKED",  "TIMEOUT"};
  return std::find(std::begin(kEnds), std::end(kEnds), state) != std::end(kEnds);
}

std::string clock_text(double unix_s) {
  const auto whole = static_cast<std::time_t>(unix_s);
  std::tm parts{};
  ::localtime_r(&whole, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%F %H:%M", &parts);
  return text;
}

}  // namespace

RunSummary summarize(const std::filesystem::path& run_directory, const Clock& clock) {
  const RunDirectory run{run_directory};
  const cluster::RunState state = cluster::read_run_state(run.events());
  if (state.phase == cluster::RunPhase::kAbsent)
    throw DataError("{}: no run: there is no events.jsonl in it", run_directory.string());
  RunSummary summary{.directory = run_directory, .name = state.run, .phase = std::string(phase_name(state.phase))};
  summary.job = state.job ? state.job->job : "";
  summary.attempts = std::ssize(state.attempts);
  summary.changed = state.changed;
  summary.note = last_note(state);
  summary.gap_s = mean_gap(state);
  for (const cluster::Attempt& attempt : state.attempts)
    if (attempt.ended) summary.step = std::max(summary.step, attempt.ended->step);

  const PreparedRun prepared = read_begun_run(run_directory);
  summary.steps = prepared.experiment.training.steps;
  summary.currency = prepared.machine.rate.currency;
  auto used = cluster::usage_records(state);
  if (const cluster::Attempt* running = state.running()) {
    const double now = clock.unix_s();
    used.push_back({.run = state.run,
                    .attempt = running->started.attempt,
                    .begin_unix_ms = std::llround(running->started.time * 1e3),
                    .end_unix_ms = std::llround(std::max(now, running->started.time) * 1e3),
                    .resources = running->started.resources});
    summary.resources = running->started.resources;
    summary.attempt_began = running->started.time;
    if (!running->started.job.empty()) summary.job = running->started.job;
    if (const auto step = last_step(run.metrics())) {
      summary.step = std::max(summary.step, step->step);
      summary.step_s = step->step_s;
    }
  }
  for (const cluster::UsageRecord& record : used)
    summary.money_micros += cluster::price(record, prepared.machine).money_micros;
  return summary;
}

std::vector<RunSummary> summarize_all(const cluster::RunRegistry& registry, const Clock& clock,
                                      const std::function<void(std::size_t, std::size_t)>& at_work) {
  const std::filesystem::path file = registry.folder() / "status-cache";
  Cache cache = read_cache(file);
  bool changed = false;
  std::vector<RunSummary> found;
  const auto runs = registry.runs();
  found.reserve(runs.size());
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const std::string path = runs[i].string();
    const std::string stamp = stamp_of(runs[i] / "events.jsonl");
    if (stamp.empty()) continue;
    const auto known = cache.find(path);
    if (known != cache.end() && known->second.stamp == stamp) {
      found.push_back(known->second.summary);
      continue;
    }
    at_work(i, runs.size());
    try {
      RunSummary summary = summarize(runs[i], clock);
      if (!summary.is_open()) {
        cache[path] = {stamp, summary};
        changed = true;
      }
      found.push_back(std::move(summary));
    } catch (const Error& failure) {
      found.push_back(
          {.directory = runs[i], .name = runs[i].filename().string(), .phase = "unreadable", .note = failure.what()});
    }
  }
  if (changed) {
    std::string text(kCacheHead);
    text += '\n';
    for (const auto& [path, entry] : cache)
      if (path.find('\n') == std::string::npos) text += to_line(path, entry);
    try {
      write_file_durably(file, text);
    } catch (const StorageError&) {  // next time it takes longer again
    }
  }
  return found;
}

JobViews view_jobs(const std::vector<RunSummary>& runs) {
  JobViews views;
  std::vector<std::string> ids;
  for (const RunSummary& run : runs)
    if (run.is_open() && !run.job.empty()) ids.push_back(run.job);
  if (ids.empty()) return views;
  if (!cluster::Slurm::is_here()) {
    views.unreachable = "this machine has no Slurm";
    return views;
  }
  const cluster::Slurm slurm;
  const auto queue = slurm.queue(ids);
  views.unreachable = queue.unreachable;
  for (const cluster::QueuedJob& job : queue.rows) views.queued.emplace(job.id, job);
  if (!views.unreachable.empty()) return views;
  std::erase_if(ids, [&](const std::string& id) { return views.queued.contains(id); });
  for (const cluster::AccountedJob& row : slurm.accounts(ids).rows) views.ended[row.id] = row;
  return views;
}

std::string state_text(const RunSummary& run, const JobViews& jobs) {
  if (!run.is_open() || run.job.empty()) {
    const bool tell = !run.note.empty() && run.phase != "finished";
    return tell ? run.phase + ": " + run.note : run.phase;
  }
  if (const auto queued = jobs.queued.find(run.job); queued != jobs.queued.end()) {
    const cluster::QueuedJob& job = queued->second;
    if (job.state == "PENDING") {
      const bool budget = job.reason.starts_with("Assoc") || job.reason.starts_with("QOS");
      std::string text = (budget ? "waiting, out of budget: " : "waiting: ") + job.reason;
      if (job.start > 0) text += ", expected " + clock_text(job.start);
      return text;
    }
    if (job.state == "RUNNING") return run.phase == "running" ? "running" : "starting";
    if (job.state == "COMPLETING") return "ending";
    if (job.state == "CONFIGURING") return "starting";
    if (!has_ended(job.state)) return fmt::format("{}: job {} {}", run.phase, job.id, job.state);
    return fmt::format("lost: job {} {}", job.id, job.state);
  }
  if (const auto ended = jobs.ended.find(run.job); ended != jobs.ended.end())
    return fmt::format("lost: job {} {}, exit code {}", run.job, ended->second.state, ended->second.exit_code);
  return run.phase + (jobs.unreachable.empty() ? ", unknown to Slurm" : ", as recorded");
}

std::optional<Arrival> arrival(const RunSummary& run, double left_in_job_s, double job_s) {
  if (run.step_s <= 0 || run.steps <= run.step) return std::nullopt;
  Arrival arrival{.seconds = double(run.steps - run.step) * run.step_s};
  if (job_s <= 0 || arrival.seconds <= left_in_job_s) return arrival;
  arrival.more_jobs = static_cast<std::int64_t>(std::ceil((arrival.seconds - left_in_job_s) / job_s));
  arrival.seconds += double(arrival.more_jobs) * run.gap_s;
  return arrival;
}

}  // namespace stoa::launcher

#include "stoa/launcher/run_commands.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/progress_lines.h"
#include "stoa/base/units.h"
#include "stoa/cluster/report.h"
#include "stoa/launcher/run_preparation.h"
#include "stoa/launcher/run_summary.h"
#include "stoa/launcher/slurm_allocation.h"
#include "stoa/launcher/submission.h"

namespace stoa::launcher {
namespace {

namespace fs = std::filesystem;
using cluster::RunPhase;

constexpr std::size_t kEndedShown = 20;
constexpr int kFollowMs = 500;
constexpr double kDecision_s = 30;
constexpr int kQuietRounds = 3;

std::string money(const RunSummary& run) { return cluster::format_money(run.money_micros, run.currency); }

/// Of the job that runs now, and of any later one: seconds in which steps can be made.
std::optional<Arrival> arrival_of(const RunSummary& run, const JobViews& jobs, const Clock& clock) {
  const auto job = jobs.queued.find(run.job);
  if (job == jobs.queued.end() || job->second.end <= 0) return arrival(run, 0, 0);
  return arrival(run, std::max(0.0, job->second.end - clock.unix_s()), job->second.end - job->second.start);
}

std::string arrival_text(const std::optional<Arrival>& arrival) {
  if (!arrival) return "";
  const std::string jobs = arrival->more_jobs > 0 ? fmt::format(" in {} more {}", arrival->more_jobs,
                                                                arrival->more_jobs == 1 ? "job" : "jobs")
                                                  : "";
  return format_duration(arrival->seconds) + " left" + jobs;
}

Json to_json(const RunSummary& run, const JobViews& jobs, const Clock& clock) {
  Json json = {{"name", run.name},        {"directory", run.directory.string()},
               {"phase", run.phase},      {"state", state_text(run, jobs)},
               {"job", run.job},          {"attempts", run.attempts},
               {"step", run.step},        {"steps", run.steps},
               {"changed", run.changed},  {"cost", double(run.money_micros) * 1e-6},
               {"currency", run.currency}};
  if (const auto left = arrival_of(run, jobs, clock)) {
    json["seconds_left"] = left->seconds;
    json["more_jobs"] = left->more_jobs;
  }
  return json;
}

void print_table(const std::vector<RunSummary>& runs, const JobViews& jobs, std::FILE* out, const Clock& clock) {
  std::size_t name = 4;
  std::size_t job = 3;
  for (const RunSummary& run : runs) {
    name = std::max(name, run.name.size());
    job = std::max(job, run.job.size());
  }
  fmt::print(out, "{:<{}}  {:<{}}  {:>15}  {:>14}  {}\n", "run", name, "job", job, "step", "cost", "state");
  for (const RunSummary& run : runs) {
    std::string state = state_text(run, jobs);
    if (const std::string left = arrival_text(arrival_of(run, jobs, clock)); !left.empty()) state += ", " + left;
    fmt::print(out, "{:<{}}  {:<{}}  {:>15}  {:>14}  {}\n", run.name, name, run.job.empty() ? "-" : run.job, job,
               fmt::format("{}/{}", run.step, run.steps), money(run), state);
  }
}

std::optional<fs::path> newest_log(const fs::path& run) {
  std::optional<fs::path> newest;
  for (const auto& entry : fs::directory_iterator(run)) {
    const std::string name = entry.path().filename().string();
    if (!name.starts_with("job-") || !name.ends_with(".log")) continue;
    if (!newest || fs::last_write_time(entry.path()) > fs::last_write_time(*newest)) newest = entry.path();
  }
  return newest;
}

/// From the position on; returns where it ends now.
off_t print_from(int fd, off_t at, std::FILE* out) {
  char bytes[65536];
  for (ssize_t got = ::pread(fd, bytes, sizeof bytes, at); got > 0; got = ::pread(fd, bytes, sizeof bytes, at)) {
    std::fwrite(bytes, 1, static_cast<std::size_t>(got), out);
    at += got;
  }
  std::fflush(out);
  return at;
}

/// Where the last `lines` lines of a file begin.
off_t start_of_last_lines(int fd, int lines) {
  off_t at = ::lseek(fd, 0, SEEK_END);
  int found = 0;
  char byte = 0;
  // The newline that ends the last line is not one between two.
  for (off_t before = at - 2; before >= 0; --before) {
    if (::pread(fd, &byte, 1, before) != 1) break;
    if (byte == '\n' && ++found == lines) return before + 1;
  }
  return 0;
}

std::string describe(const cluster::RunEvent& event) {
  struct Text {
    std::string operator()(const cluster::RunCreated& e) const { return "created as " + e.run; }
    std::string operator()(const cluster::JobSubmitted& e) const {
      return fmt::format("job {} by {} ({})", e.job, e.user, way_name(e.how));
    }
    std::string operator()(const cluster::AttemptStarted& e) const {
      return fmt::format("attempt {} starts on {}: {}", e.attempt,
                         e.nodes.empty() ? e.host : cluster::node_list(e.nodes), e.layout);
    }
    std::string operator()(const cluster::AttemptEnded& e) const {
      return fmt::format("attempt {} {} at step {}{}{}{}", e.attempt, outcome_name(e.outcome), e.step,
                         e.cause == cluster::EndCause::kNone ? "" : ", cause: ", cause_name(e.cause),
                         e.message.empty() ? "" : "; " + e.message.substr(0, e.message.find('\n')));
    }
    std::string operator()(const cluster::UserAsked& e) const {
      return fmt::format("{} asks to {}", e.user, request_name(e.request));
    }
    std::string operator()(const cluster::NodeExcluded& e) const {
      return fmt::format("{} is left out: {}", e.node, e.reason);
    }
    std::string operator()(const cluster::RunHeld& e) const { return "held: " + e.reason; }
    std::string operator()(const cluster::RunPaused&) const { return "paused"; }
    std::string operator()(const cluster::RunCancelled&) const { return "cancelled"; }
  };
  return std::visit(Text{}, event);
}

}  // namespace

fs::path find_run(const std::string& word) {
  std::error_code error;
  if (fs::is_regular_file(fs::path(word) / "events.jsonl", error)) return fs::absolute(word);
  std::vector<fs::path> found;
  for (const fs::path& run : cluster::RunRegistry().runs())
    if (run.filename() == word && fs::is_regular_file(run / "events.jsonl", error)) found.push_back(run);
  if (found.empty())
    throw UsageError(
        "{}: neither a run's directory (with events.jsonl) nor the name of a recorded run; stoa status "
        "lists them",
        word);
  if (found.size() > 1)
    throw UsageError("{}: {} runs have this name ({} and {} among them): give the directory", word, found.size(),
                     found[0].string(), found[1].string());
  return found.front();
}

int show_status(const StatusRequest& request, std::FILE* out, std::FILE* progress, const Clock& clock) {
  std::vector<RunSummary> runs;
  Log log(progress, "stoa");
  ProgressLines lines(log, clock);
  if (request.runs.empty())
    runs = summarize_all(cluster::RunRegistry(), clock,
                         [&](std::size_t done, std::size_t all) { lines.line("read {} of {} runs", done, all); });
  else
    for (const std::string& word : request.runs) runs.push_back(summarize(find_run(word), clock));
  const JobViews jobs = view_jobs(runs);
  if (request.format == TextOrJson::kJson) {
    Json all = Json::array();
    for (const RunSummary& run : runs) all.push_back(to_json(run, jobs, clock));
    Json document = {{"runs", all}};
    if (!jobs.unreachable.empty()) document["scheduler"] = jobs.unreachable;
    print_json(out, document);
    return kExitFinished;
  }
  if (runs.empty()) {
    fmt::print(out, "no run is recorded here; stoa run and stoa submit record theirs\n");
    return kExitFinished;
  }
  std::size_t left_out = 0;
  if (!request.all && request.runs.empty()) {
    // Runs that are open first of all; of the others the latest.
    std::stable_sort(runs.begin(), runs.end(), [](const RunSummary& a, const RunSummary& b) {
      return a.is_open() != b.is_open() ? a.is_open() : a.changed > b.changed;
    });
    const auto open = static_cast<std::size_t>(
        std::count_if(runs.begin(), runs.end(), [](const RunSummary& run) { return run.is_open(); }));
    const std::size_t shown = std::min(runs.size(), open + kEndedShown);
    left_out = runs.size() - shown;
    runs.resize(shown);
  }
  print_table(runs, jobs, out, clock);
  if (left_out > 0)
    fmt::print(out, "{} more that ended earlier; --all shows them\n", format_grouped(std::int64_t(left_out)));
  if (!jobs.unreachable.empty())
    fmt::print(out, "Slurm cannot be asked ({}): states are as recorded\n", jobs.unreachable);
  return kExitFinished;
}

int show_logs(const LogsRequest& request, std::FILE* out, std::FILE* progress, const Clock& clock) {
  const fs::path run = find_run(request.run);
  std::optional<fs::path> log = newest_log(run);
  if (!log && !request.follow)
    throw UsageError("{}: no job of this run has written a log yet; -f waits for one", run.string());
  // Between the end of an attempt and what follows the supervisor has a moment's work.
  const auto is_open = [&run, &clock] {
    const cluster::RunState state = cluster::read_run_state(run / "events.jsonl");
    if (state.phase == RunPhase::kRunning || state.phase == RunPhase::kQueued) return true;
    const bool undecided =
        state.phase == RunPhase::kSaved || state.phase == RunPhase::kFailed || state.phase == RunPhase::kLost;
    return undecided && clock.unix_s() - state.changed < kDecision_s;
  };
  const FileDescriptor changes(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (changes) ::inotify_add_watch(changes.get(), run.c_str(), IN_MODIFY | IN_CREATE);
  FileDescriptor fd;
  off_t at = 0;
  fs::path shown;
  // The last words follow the last event by a moment.
  for (int quiet = 0;;) {
    quiet = is_open() ? 0 : quiet + 1;
    const bool last = !request.follow || quiet > kQuietRounds;
    log = newest_log(run);
    if (log && *log != shown) {
      if (!shown.empty()) fmt::print(progress, "==> {}\n", log->string());
      fd = open_file(*log, O_RDONLY);
      at = shown.empty() ? start_of_last_lines(fd.get(), request.lines) : 0;
      shown = *log;
    }
    if (fd) at = print_from(fd.get(), at, out);
    if (last) return kExitFinished;
    // A network file system tells nothing of what other nodes write: look twice a second all the same.
    pollfd waited{.fd = changes.get(), .events = POLLIN, .revents = 0};
    ::poll(&waited, 1, kFollowMs);
    char ignored[4096];
    while (changes && ::read(changes.get(), ignored, sizeof ignored) > 0) {
    }
  }
}

int ask_run(const std::string& word, cluster::UserRequest request, Haste haste, std::FILE* out, const Clock& clock) {
  const fs::path directory = find_run(word);
  cluster::RunRecord record(directory / "events.jsonl");
  const RunPhase phase = record.state().phase;
  const bool cancel = request == cluster::UserRequest::kCancel;
  const auto conclude = [&] {
    if (cancel)
      record.append(cluster::RunCancelled{clock.unix_s()});
    else
      record.append(cluster::RunPaused{clock.unix_s()});
    fmt::print(out, "{}: {}\n", directory.string(), cancel ? "cancelled" : "paused; stoa resume goes on");
  };
  if (phase == RunPhase::kQueued) {
    const std::string job = record.state().job->job;
    record.append(cluster::UserAsked{clock.unix_s(), request, user_name()});
    cluster::Slurm().cancel(job);
    conclude();
    return kExitFinished;
  }
  if (phase != RunPhase::kRunning) {
    conclude();
    return kExitFinished;
  }
  const cluster::AttemptStarted attempt = record.state().running()->started;
  record.append(cluster::UserAsked{clock.unix_s(), request, user_name()});
  if (haste == Haste::kSave) {
    fmt::print(out, "{}: asked to save and stop; stoa status tells when it has\n", directory.string());
    return kExitFinished;
  }
  if (attempt.job.empty())
    throw UsageError("{}: the run was started by stoa run, process {} on {}: end that process", directory.string(),
                     attempt.pid, attempt.host);
  cluster::Slurm().cancel(attempt.job);
  fmt::print(out, "{}: job {} was told to end at once\n", directory.string(), attempt.job);
  return kExitFinished;
}

int resume_run(const std::string& word, std::FILE* out, std::FILE* progress, const Clock& clock) {
  return submit_again(find_run(word), out, progress, clock);
}

int show_history(const std::string& word, TextOrJson format, std::FILE* out, std::FILE* progress) {
  const fs::path directory = find_run(word);
  const fs::path file = directory / "events.jsonl";
  const std::string text = read_text_file(file);
  const cluster::RunState state = cluster::fold_events(text, file.string());
  std::vector<std::string> ids;
  for (const cluster::Attempt& attempt : state.attempts)
    if (!attempt.started.job.empty() && (ids.empty() || ids.back() != attempt.started.job))
      ids.push_back(attempt.started.job);
  cluster::SlurmAnswer<cluster::AccountedJob> accounts;
  if (!ids.empty() && cluster::Slurm::is_here()) accounts = cluster::Slurm().accounts(ids);

  Json events = Json::array();
  std::size_t at = 0;
  for (std::size_t end = text.find('\n'); end != std::string::npos; end = text.find('\n', at)) {
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    if (format == TextOrJson::kJson) {
      events.push_back(parse_json(line, file.string()));
      continue;
    }
    const cluster::RunEvent event = cluster::parse_event(line, file.string());
    const double time = std::visit([](const auto& each) { return each.time; }, event);
    fmt::print(out, "{}  {}\n", format_utc(time), describe(event));
  }
  if (format == TextOrJson::kJson) {
    Json rows = Json::array();
    for (const cluster::AccountedJob& row : accounts.rows)
      rows.push_back({{"job", row.id},
                      {"state", row.state},
                      {"start", row.start},
                      {"end", row.end},
                      {"elapsed_s", row.elapsed_s},
                      {"exit_code", row.exit_code},
                      {"nodes", row.nodes},
                      {"energy_j", row.energy_j}});
    print_json(out, {{"run", state.run}, {"phase", phase_name(state.phase)}, {"events", events}, {"accounts", rows}});
  } else if (!accounts.rows.empty()) {
    fmt::print(out, "\nSlurm's accounts:\n");
    for (const cluster::AccountedJob& row : accounts.rows)
      fmt::print(out, "{}  job {} {}, {} s, exit code {}, {}\n", format_utc(row.start), row.id, row.state,
                 row.elapsed_s, row.exit_code, row.nodes);
  }
  if (!accounts.unreachable.empty())
    fmt::print(progress, "Slurm's accounts cannot be asked: {}\n", accounts.unreachable);
  return kExitFinished;
}

}  // namespace stoa::launcher

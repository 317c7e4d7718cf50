#include "stoa/cluster/run_record.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"

namespace stoa::cluster {
namespace {

using enum RunPhase;
using Kind = EventKind;

/// A finished run goes on when it is asked for more steps. A run that is held, paused or cancelled goes on when its
/// user submits it or starts it by hand.
constexpr Transition kTransitions[] = {
    {kAbsent, Kind::kCreated, kCreated},

    {kCreated, Kind::kSubmitted, kQueued},
    {kQueued, Kind::kSubmitted, kQueued},  // the job before is gone
    {kSaved, Kind::kSubmitted, kQueued},
    {kFailed, Kind::kSubmitted, kQueued},
    {kLost, Kind::kSubmitted, kQueued},
    {kFinished, Kind::kSubmitted, kQueued},
    {kHeld, Kind::kSubmitted, kQueued},
    {kPaused, Kind::kSubmitted, kQueued},
    {kCancelled, Kind::kSubmitted, kQueued},

    {kCreated, Kind::kStarted, kRunning},
    {kQueued, Kind::kStarted, kRunning},
    {kSaved, Kind::kStarted, kRunning},
    {kFailed, Kind::kStarted, kRunning},
    {kLost, Kind::kStarted, kRunning},
    {kFinished, Kind::kStarted, kRunning},
    {kHeld, Kind::kStarted, kRunning},
    {kPaused, Kind::kStarted, kRunning},
    {kCancelled, Kind::kStarted, kRunning},

    {kRunning, Kind::kFinished, kFinished},
    {kRunning, Kind::kSaved, kSaved},
    {kRunning, Kind::kFailed, kFailed},
    {kRunning, Kind::kLost, kLost},

    {kQueued, Kind::kAsked, kQueued},
    {kRunning, Kind::kAsked, kRunning},

    {kQueued, Kind::kNodeExcluded, kQueued},
    {kRunning, Kind::kNodeExcluded, kRunning},
    {kSaved, Kind::kNodeExcluded, kSaved},
    {kFailed, Kind::kNodeExcluded, kFailed},
    {kLost, Kind::kNodeExcluded, kLost},

    {kQueued, Kind::kHeld, kHeld},
    {kSaved, Kind::kHeld, kHeld},
    {kFailed, Kind::kHeld, kHeld},
    {kLost, Kind::kHeld, kHeld},

    {kCreated, Kind::kPaused, kPaused},
    {kQueued, Kind::kPaused, kPaused},
    {kSaved, Kind::kPaused, kPaused},
    {kFailed, Kind::kPaused, kPaused},
    {kLost, Kind::kPaused, kPaused},
    {kHeld, Kind::kPaused, kPaused},

    {kCreated, Kind::kCancelled, kCancelled},
    {kQueued, Kind::kCancelled, kCancelled},
    {kSaved, Kind::kCancelled, kCancelled},
    {kFailed, Kind::kCancelled, kCancelled},
    {kLost, Kind::kCancelled, kCancelled},
    {kHeld, Kind::kCancelled, kCancelled},
    {kPaused, Kind::kCancelled, kCancelled},
};

constexpr std::array<std::string_view, 11> kPhaseNames{"absent", "created",  "queued", "running", "saved",    "failed",
                                                       "lost",   "finished", "held",   "paused",  "cancelled"};
/// The year 5138: whatever lies beyond is not a time, and milliseconds of it still fit.
constexpr double kLatestTime = 1e11;

EventKind kind_of(const RunEvent& event) {
  if (const auto* ended = std::get_if<AttemptEnded>(&event)) {
    constexpr std::array kEnds{Kind::kFinished, Kind::kSaved, Kind::kFailed, Kind::kLost};
    return kEnds[static_cast<std::size_t>(ended->outcome)];
  }
  // In the order of the variant.
  constexpr std::array kKinds{Kind::kCreated,      Kind::kSubmitted, Kind::kStarted, Kind::kLost,     Kind::kAsked,
                              Kind::kNodeExcluded, Kind::kHeld,      Kind::kPaused,  Kind::kCancelled};
  static_assert(kKinds.size() == std::variant_size_v<RunEvent>);
  return kKinds[event.index()];
}

std::string describe(const RunEvent& event) {
  if (const auto* started = std::get_if<AttemptStarted>(&event))
    return fmt::format("attempt {} cannot start", started->attempt);
  if (const auto* ended = std::get_if<AttemptEnded>(&event))
    return fmt::format("attempt {} cannot end as {}", ended->attempt, outcome_name(ended->outcome));
  switch (kind_of(event)) {
    case Kind::kCreated:
      return "the run cannot be created";
    case Kind::kSubmitted:
      return "the run cannot be submitted";
    case Kind::kAsked:
      return "the run cannot be asked for anything";
    case Kind::kNodeExcluded:
      return "no node can be excluded";
    case Kind::kHeld:
      return "the run cannot be held";
    case Kind::kPaused:
      return "the run cannot be paused";
    default:
      return "the run cannot be cancelled";
  }
}

void check_values(const RunEvent& event, std::string_view place) {
  const double time = std::visit([](const auto& each) { return each.time; }, event);
  if (!(time >= 0 && time < kLatestTime)) throw DataError("{}: time {} is not a time", place, time);
  if (const auto* started = std::get_if<AttemptStarted>(&event)) {
    if (started->ranks < 1 || started->resources < 1)
      throw DataError("{}: attempt {} has {} ranks on {} resources, both must be at least 1", place, started->attempt,
                      started->ranks, started->resources);
  }
  if (const auto* ended = std::get_if<AttemptEnded>(&event)) {
    if (ended->step < 0 || !(ended->energy_j >= 0 && std::isfinite(ended->energy_j)))
      throw DataError("{}: attempt {} ends at step {} with {} J, neither can be negative", place, ended->attempt,
                      ended->step, ended->energy_j);
  }
}

void check_attempt(const RunState& state, const RunEvent& event, std::string_view place) {
  if (const auto* started = std::get_if<AttemptStarted>(&event)) {
    for (const Attempt& earlier : state.attempts)
      if (earlier.started.attempt == started->attempt)
        throw DataError("{}: attempt {} has started before", place, started->attempt);
  }
  if (const auto* ended = std::get_if<AttemptEnded>(&event)) {
    const std::string& running = state.attempts.back().started.attempt;
    if (running != ended->attempt) throw DataError("{}: {}: attempt {} is running", place, describe(event), running);
  }
}

/// What an event leaves in the state beside the phase.
struct Keep {
  RunState& state;
  void operator()(const RunCreated& event) const {
    state.run = event.run;
    state.created = event.time;
  }
  void operator()(const JobSubmitted& event) const {
    state.job = event;
    // The next job of a chain still has to hear what was asked of the one before.
    if (event.how == SubmitWay::kSubmit) state.asked.reset();
    state.reason.clear();
  }
  void operator()(const AttemptStarted& event) const {
    state.attempts.push_back({event, std::nullopt});
    state.reason.clear();
  }
  void operator()(const AttemptEnded& event) const {
    state.attempts.back().ended = event;
    // Nothing is left to pause or cancel; a run that goes on for more steps must not stop for an old request.
    if (event.outcome == AttemptOutcome::kFinished) state.asked.reset();
  }
  void operator()(const UserAsked& event) const { state.asked = event; }
  void operator()(const NodeExcluded& event) const { state.excluded.push_back(event); }
  void operator()(const RunHeld& event) const {
    state.reason = event.reason;
    state.settled_attempts = state.attempts.size();
  }
  void operator()(const RunPaused&) const { stop(); }
  void operator()(const RunCancelled&) const { stop(); }
  void stop() const {
    state.asked.reset();
    state.settled_attempts = state.attempts.size();
  }
};

std::int64_t to_ms(double unix_s) { return std::llround(unix_s * 1000); }

void lock(int fd, const std::filesystem::path& path) {
  while (::flock(fd, LOCK_EX) != 0)
    if (errno != EINTR)
      throw StorageError("{}: flock failed: {}; the file system must be mounted so that files can be locked",
                         path.string(), errno_message(errno));
}

std::string read_from(int fd, std::size_t offset, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(fd, &status) != 0) throw StorageError("{}: stat failed: {}", path.string(), errno_message(errno));
  if (static_cast<std::size_t>(status.st_size) < offset)
    throw StorageError("{}: shorter than it was: something cut it off", path.string());
  std::string text(static_cast<std::size_t>(status.st_size) - offset, '\0');
  std::size_t read = 0;
  while (read < text.size()) {
    const ssize_t got = ::pread(fd, text.data() + read, text.size() - read, static_cast<off_t>(offset + read));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw StorageError("{}: read failed: {}", path.string(), errno_message(errno));
    if (got == 0) break;
    read += static_cast<std::size_t>(got);
  }
  text.resize(read);
  return text;
}

}  // namespace

std::span<const Transition> transitions() { return kTransitions; }

std::string_view phase_name(RunPhase phase) { return kPhaseNames[static_cast<std::size_t>(phase)]; }

void apply(RunState& state, const RunEvent& event, std::string_view place) {
  check_values(event, place);
  const auto* found = std::find_if(std::begin(kTransitions), std::end(kTransitions), [&](const Transition& each) {
    return each.from == state.phase && each.event == kind_of(event);
  });
  if (found == std::end(kTransitions))
    throw DataError("{}: {}: the run is {}", place, describe(event), phase_name(state.phase));
  check_attempt(state, event, place);
  std::visit(Keep{state}, event);
  state.changed = std::visit([](const auto& each) { return each.time; }, event);
  state.phase = found->to;
}

RunState fold_events(std::string_view text, std::string_view place) {
  RunState state;
  std::size_t at = 0;
  for (int line = 1;; ++line) {
    const std::size_t end = text.find('\n', at);
    if (end == std::string_view::npos) return state;
    const std::string here = fmt::format("{}:{}", place, line);
    apply(state, parse_event(text.substr(at, end - at), here), here);
    at = end + 1;
  }
}

RunState read_run_state(const std::filesystem::path& events_file) {
  if (!std::filesystem::exists(events_file)) return {};
  return fold_events(read_text_file(events_file), events_file.string());
}

std::vector<UsageRecord> usage_records(const RunState& state) {
  std::vector<UsageRecord> records;
  for (const Attempt& attempt : state.attempts) {
    if (!attempt.ended) continue;
    const std::int64_t begin_ms = to_ms(attempt.started.time);
    records.push_back({.run = state.run,
                       .attempt = attempt.started.attempt,
                       .begin_unix_ms = begin_ms,
                       .end_unix_ms = std::max(begin_ms, to_ms(attempt.ended->time)),
                       .resources = attempt.started.resources,
                       .energy_j = attempt.ended->energy_j,
                       .energy_source = attempt.ended->energy_source});
  }
  return records;
}

RunRecord::RunRecord(std::filesystem::path events_file) : path_(std::move(events_file)) { refresh(); }

void RunRecord::fold_new(std::string_view text) {
  for (std::size_t end = text.find('\n'); end != std::string_view::npos; end = text.find('\n')) {
    const std::string here = fmt::format("{}:{}", path_.string(), folded_lines_ + 1);
    apply(state_, parse_event(text.substr(0, end), here), here);
    ++folded_lines_;
    folded_bytes_ += end + 1;
    text.remove_prefix(end + 1);
  }
}

void RunRecord::refresh() {
  if (folded_bytes_ == 0 && !std::filesystem::exists(path_)) return;
  const FileDescriptor fd = open_file(path_, O_RDONLY);
  fold_new(read_from(fd.get(), folded_bytes_, path_));
}

void RunRecord::append(const RunEvent& event) {
  const bool is_new = folded_bytes_ == 0;
  const FileDescriptor fd = open_file(path_, O_RDWR | O_CREAT | O_APPEND);
  lock(fd.get(), path_);
  fold_new(read_from(fd.get(), folded_bytes_, path_));
  RunState next = state_;
  apply(next, event, path_.string());
  // A last line without its newline was torn: it never happened.
  if (::ftruncate(fd.get(), static_cast<off_t>(folded_bytes_)) != 0)
    throw StorageError("{}: truncate failed: {}", path_.string(), errno_message(errno));
  const std::string line = to_line(event) + '\n';
  write_all(fd.get(), std::as_bytes(std::span(line)), path_);
  sync_file(fd.get(), path_);
  if (is_new) sync_directory(path_.has_parent_path() ? path_.parent_path() : ".");
  state_ = std::move(next);
  folded_bytes_ += line.size();
  ++folded_lines_;
}

void RunRecord::close_lost_attempt(const SignOfLife& last, EndCause cause, std::int64_t checkpoint_step) {
  if (state_.phase != RunPhase::kRunning) return;
  const AttemptStarted& started = state_.attempts.back().started;
  append(AttemptEnded{.attempt = started.attempt,
                      .time = std::max(started.time, last.time),
                      .outcome = AttemptOutcome::kLost,
                      .cause = cause,
                      .step = last.step,
                      .checkpoint_step = checkpoint_step,
                      .energy_j = last.energy_j,
                      .energy_source = last.energy_source,
                      .message = "no outcome was reported; the end is the last sign of life"});
}

}  // namespace stoa::cluster

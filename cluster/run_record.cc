#include "stoa/cluster/run_record.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "stoa/base/error.h"
#include "stoa/base/json.h"

namespace stoa::cluster {
namespace {

enum class EventKind { kCreated, kStarted, kFinished, kSaved, kFailed, kLost };

struct Transition {
  RunPhase from;
  EventKind event;
  RunPhase to;
};

/// All that can happen in a run's life. A finished run goes on when it is asked for more steps.
constexpr std::array kTransitions{
    Transition{RunPhase::kAbsent, EventKind::kCreated, RunPhase::kCreated},
    Transition{RunPhase::kCreated, EventKind::kStarted, RunPhase::kRunning},
    Transition{RunPhase::kSaved, EventKind::kStarted, RunPhase::kRunning},
    Transition{RunPhase::kFailed, EventKind::kStarted, RunPhase::kRunning},
    Transition{RunPhase::kLost, EventKind::kStarted, RunPhase::kRunning},
    Transition{RunPhase::kFinished, EventKind::kStarted, RunPhase::kRunning},
    Transition{RunPhase::kRunning, EventKind::kFinished, RunPhase::kFinished},
    Transition{RunPhase::kRunning, EventKind::kSaved, RunPhase::kSaved},
    Transition{RunPhase::kRunning, EventKind::kFailed, RunPhase::kFailed},
    Transition{RunPhase::kRunning, EventKind::kLost, RunPhase::kLost},
};

constexpr std::array<std::string_view, 4> kOutcomeNames{"finished", "saved", "failed", "lost"};
constexpr std::array<std::string_view, 7> kPhaseNames{"absent", "created", "running", "saved",
                                                      "failed", "lost",    "finished"};
/// The year 5138: whatever lies beyond is not a time, and milliseconds of it still fit.
constexpr double kLatestTime = 1e11;

EventKind kind_of(const RunEvent& event) {
  if (std::holds_alternative<RunCreated>(event)) return EventKind::kCreated;
  if (std::holds_alternative<AttemptStarted>(event)) return EventKind::kStarted;
  constexpr std::array kEnds{EventKind::kFinished, EventKind::kSaved, EventKind::kFailed, EventKind::kLost};
  return kEnds[static_cast<std::size_t>(std::get<AttemptEnded>(event).outcome)];
}

std::string describe(const RunEvent& event) {
  if (std::holds_alternative<RunCreated>(event)) return "the run cannot be created";
  if (const auto* started = std::get_if<AttemptStarted>(&event))
    return fmt::format("attempt {} cannot start", started->attempt);
  const auto& ended = std::get<AttemptEnded>(event);
  return fmt::format("attempt {} cannot end as {}", ended.attempt, outcome_name(ended.outcome));
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

RunEvent parse_created(const Json& line, std::string_view place) {
  const int version = json_field<int>(line, "version", place);
  if (version < 1 || version > kRunRecordVersion)
    throw DataError("{}: the log has version {}, this Stoa reads 1 to {}", place, version, kRunRecordVersion);
  return RunCreated{json_field<std::string>(line, "run", place), json_field<double>(line, "time", place)};
}

RunEvent parse_started(const Json& line, std::string_view place) {
  return AttemptStarted{.attempt = json_field<std::string>(line, "attempt", place),
                        .time = json_field<double>(line, "time", place),
                        .ranks = json_field<std::int64_t>(line, "ranks", place),
                        .resources = json_field<std::int64_t>(line, "resources", place),
                        .host = json_field<std::string>(line, "host", place),
                        .pid = json_field<std::int64_t>(line, "pid", place)};
}

AttemptOutcome parse_outcome(const std::string& name, std::string_view place) {
  const auto found = std::find(kOutcomeNames.begin(), kOutcomeNames.end(), name);
  if (found == kOutcomeNames.end())
    throw DataError("{}: outcome '{}' is none of finished, saved, failed, lost", place, name);
  return static_cast<AttemptOutcome>(found - kOutcomeNames.begin());
}

RunEvent parse_ended(const Json& line, std::string_view place) {
  return AttemptEnded{.attempt = json_field<std::string>(line, "attempt", place),
                      .time = json_field<double>(line, "time", place),
                      .outcome = parse_outcome(json_field<std::string>(line, "outcome", place), place),
                      .step = json_field<std::int64_t>(line, "step", place),
                      .energy_j = json_field<double>(line, "energy_j", place),
                      .energy_source = json_field<std::string>(line, "energy_source", place),
                      .message = json_field<std::string>(line, "message", place)};
}

RunEvent parse_event(std::string_view text, std::string_view place) {
  const Json line = parse_json(text, place);
  const auto event = json_field<std::string>(line, "event", place);
  if (event == "created") return parse_created(line, place);
  if (event == "attempt_started") return parse_started(line, place);
  if (event == "attempt_ended") return parse_ended(line, place);
  throw DataError("{}: event '{}' is none of created, attempt_started, attempt_ended", place, event);
}

Json to_json(const RunCreated& event) {
  return {{"event", "created"}, {"version", kRunRecordVersion}, {"run", event.run}, {"time", event.time}};
}

Json to_json(const AttemptStarted& event) {
  return {{"event", "attempt_started"},   {"attempt", event.attempt}, {"time", event.time}, {"ranks", event.ranks},
          {"resources", event.resources}, {"host", event.host},       {"pid", event.pid}};
}

Json to_json(const AttemptEnded& event) {
  return {{"event", "attempt_ended"},
          {"attempt", event.attempt},
          {"time", event.time},
          {"outcome", outcome_name(event.outcome)},
          {"step", event.step},
          {"energy_j", event.energy_j},
          {"energy_source", event.energy_source},
          {"message", event.message}};
}

std::int64_t to_ms(double unix_s) { return std::llround(unix_s * 1000); }

}  // namespace

std::string_view outcome_name(AttemptOutcome outcome) { return kOutcomeNames[static_cast<std::size_t>(outcome)]; }
std::string_view phase_name(RunPhase phase) { return kPhaseNames[static_cast<std::size_t>(phase)]; }

std::string to_line(const RunEvent& event) {
  // A message may carry bytes of a file that is not text; the log must stay readable.
  return std::visit([](const auto& each) { return to_json(each).dump(-1, ' ', false, Json::error_handler_t::replace); },
                    event);
}

void apply(RunState& state, const RunEvent& event, std::string_view place) {
  check_values(event, place);
  const auto found = std::find_if(kTransitions.begin(), kTransitions.end(), [&](const Transition& each) {
    return each.from == state.phase && each.event == kind_of(event);
  });
  if (found == kTransitions.end())
    throw DataError("{}: {}: the run is {}", place, describe(event), phase_name(state.phase));
  check_attempt(state, event, place);

  if (const auto* created = std::get_if<RunCreated>(&event)) {
    state.run = created->run;
    state.created = created->time;
  } else if (const auto* started = std::get_if<AttemptStarted>(&event)) {
    state.attempts.push_back({*started, std::nullopt});
  } else {
    state.attempts.back().ended = std::get<AttemptEnded>(event);
  }
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

RunRecord::RunRecord(const std::filesystem::path& events_file)
    : path_(events_file), file_(events_file), state_(read_run_state(events_file)) {
  sync_directory(path_.has_parent_path() ? path_.parent_path() : ".");
}

void RunRecord::append(const RunEvent& event) {
  RunState next = state_;
  apply(next, event, path_.string());
  file_.append(to_line(event));
  file_.sync();
  state_ = std::move(next);
}

void RunRecord::close_lost_attempt(const SignOfLife& last) {
  if (state_.phase != RunPhase::kRunning) return;
  const AttemptStarted& started = state_.attempts.back().started;
  append(AttemptEnded{.attempt = started.attempt,
                      .time = std::max(started.time, last.time),
                      .outcome = AttemptOutcome::kLost,
                      .step = last.step,
                      .energy_j = last.energy_j,
                      .energy_source = last.energy_source,
                      .message = "no outcome was reported; the end is the last sign of life"});
}

}  // namespace stoa::cluster

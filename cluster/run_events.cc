#include "stoa/cluster/run_events.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>

#include "stoa/base/error.h"
#include "stoa/base/json.h"

namespace stoa::cluster {
namespace {

constexpr std::array<std::string_view, 4> kOutcomeNames{"finished", "saved", "failed", "lost"};
constexpr std::array<std::string_view, 15> kCauseNames{
    "",       "time limit", "preemption", "node failure", "requeue",  "cancel", "pause",  "switch file",
    "signal", "budget",     "rank lost",  "hang",         "bad node", "error",  "unknown"};
constexpr std::array<std::string_view, 2> kRequestNames{"pause", "cancel"};
constexpr std::array<std::string_view, 3> kWayNames{"submit", "requeue", "successor"};

template <typename Enum, std::size_t N>
Enum named(const std::array<std::string_view, N>& names, const std::string& name, std::string_view what,
           std::string_view place) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) throw DataError("{}: {} '{}' is none of {}", place, what, name, fmt::join(names, ", "));
  return static_cast<Enum>(found - names.begin());
}

/// Keys that version 1 did not have.
std::string text_or_empty(const Json& line, const char* key, std::string_view place) {
  return line.contains(key) ? json_field<std::string>(line, key, place) : std::string();
}

RunEvent parse_created(const Json& line, std::string_view place) {
  const int version = json_field<int>(line, "version", place);
  if (version < 1 || version > kRunRecordVersion)
    throw DataError("{}: the log has version {}, this Stoa reads 1 to {}", place, version, kRunRecordVersion);
  return RunCreated{json_field<std::string>(line, "run", place), json_field<double>(line, "time", place)};
}

RunEvent parse_submitted(const Json& line, std::string_view place) {
  return JobSubmitted{.time = json_field<double>(line, "time", place),
                      .job = json_field<std::string>(line, "job", place),
                      .cluster = json_field<std::string>(line, "cluster", place),
                      .user = json_field<std::string>(line, "user", place),
                      .how = named<SubmitWay>(kWayNames, json_field<std::string>(line, "how", place), "how", place)};
}

RunEvent parse_started(const Json& line, std::string_view place) {
  AttemptStarted started{.attempt = json_field<std::string>(line, "attempt", place),
                         .time = json_field<double>(line, "time", place),
                         .ranks = json_field<std::int64_t>(line, "ranks", place),
                         .resources = json_field<std::int64_t>(line, "resources", place),
                         .host = json_field<std::string>(line, "host", place),
                         .pid = json_field<std::int64_t>(line, "pid", place),
                         .job = text_or_empty(line, "job", place),
                         .layout = text_or_empty(line, "layout", place)};
  if (line.contains("restart")) started.restart = json_field<std::int64_t>(line, "restart", place);
  if (line.contains("nodes")) started.nodes = json_field<std::vector<std::string>>(line, "nodes", place);
  return started;
}

RunEvent parse_ended(const Json& line, std::string_view place) {
  return AttemptEnded{
      .attempt = json_field<std::string>(line, "attempt", place),
      .time = json_field<double>(line, "time", place),
      .outcome =
          named<AttemptOutcome>(kOutcomeNames, json_field<std::string>(line, "outcome", place), "outcome", place),
      .cause = named<EndCause>(kCauseNames, text_or_empty(line, "cause", place), "cause", place),
      .step = json_field<std::int64_t>(line, "step", place),
      .checkpoint_step =
          line.contains("checkpoint_step") ? json_field<std::int64_t>(line, "checkpoint_step", place) : -1,
      .energy_j = json_field<double>(line, "energy_j", place),
      .energy_source = json_field<std::string>(line, "energy_source", place),
      .message = json_field<std::string>(line, "message", place)};
}

RunEvent parse_asked(const Json& line, std::string_view place) {
  return UserAsked{
      .time = json_field<double>(line, "time", place),
      .request = named<UserRequest>(kRequestNames, json_field<std::string>(line, "request", place), "request", place),
      .user = json_field<std::string>(line, "user", place)};
}

RunEvent parse_excluded(const Json& line, std::string_view place) {
  return NodeExcluded{json_field<double>(line, "time", place), json_field<std::string>(line, "node", place),
                      json_field<std::string>(line, "reason", place)};
}

RunEvent parse_held(const Json& line, std::string_view place) {
  return RunHeld{json_field<double>(line, "time", place), json_field<std::string>(line, "reason", place)};
}

RunEvent parse_paused(const Json& line, std::string_view place) {
  return RunPaused{json_field<double>(line, "time", place)};
}

RunEvent parse_cancelled(const Json& line, std::string_view place) {
  return RunCancelled{json_field<double>(line, "time", place)};
}

struct EventParser {
  std::string_view name;
  RunEvent (*parse)(const Json&, std::string_view);
};
constexpr std::array kParsers{
    EventParser{"created", parse_created},
    EventParser{"submitted", parse_submitted},
    EventParser{"attempt_started", parse_started},
    EventParser{"attempt_ended", parse_ended},
    EventParser{"asked", parse_asked},
    EventParser{"node_excluded", parse_excluded},
    EventParser{"held", parse_held},
    EventParser{"paused", parse_paused},
    EventParser{"cancelled", parse_cancelled},
};

Json to_json(const RunCreated& event) {
  return {{"event", "created"}, {"version", kRunRecordVersion}, {"run", event.run}, {"time", event.time}};
}

Json to_json(const JobSubmitted& event) {
  return {{"event", "submitted"},     {"time", event.time}, {"job", event.job},
          {"cluster", event.cluster}, {"user", event.user}, {"how", way_name(event.how)}};
}

Json to_json(const AttemptStarted& event) {
  Json line = {{"event", "attempt_started"},   {"attempt", event.attempt}, {"time", event.time}, {"ranks", event.ranks},
               {"resources", event.resources}, {"host", event.host},       {"pid", event.pid}};
  if (!event.job.empty()) line.update({{"job", event.job}, {"restart", event.restart}, {"nodes", event.nodes}});
  if (!event.layout.empty()) line["layout"] = event.layout;
  return line;
}

Json to_json(const AttemptEnded& event) {
  return {{"event", "attempt_ended"},
          {"attempt", event.attempt},
          {"time", event.time},
          {"outcome", outcome_name(event.outcome)},
          {"cause", cause_name(event.cause)},
          {"step", event.step},
          {"checkpoint_step", event.checkpoint_step},
          {"energy_j", event.energy_j},
          {"energy_source", event.energy_source},
          {"message", event.message}};
}

Json to_json(const UserAsked& event) {
  return {{"event", "asked"}, {"time", event.time}, {"request", request_name(event.request)}, {"user", event.user}};
}

Json to_json(const NodeExcluded& event) {
  return {{"event", "node_excluded"}, {"time", event.time}, {"node", event.node}, {"reason", event.reason}};
}

Json to_json(const RunHeld& event) { return {{"event", "held"}, {"time", event.time}, {"reason", event.reason}}; }
Json to_json(const RunPaused& event) { return {{"event", "paused"}, {"time", event.time}}; }
Json to_json(const RunCancelled& event) { return {{"event", "cancelled"}, {"time", event.time}}; }

}  // namespace

std::string_view outcome_name(AttemptOutcome outcome) { return kOutcomeNames[static_cast<std::size_t>(outcome)]; }
std::string_view cause_name(EndCause cause) { return kCauseNames[static_cast<std::size_t>(cause)]; }
std::string_view request_name(UserRequest request) { return kRequestNames[static_cast<std::size_t>(request)]; }
std::string_view way_name(SubmitWay way) { return kWayNames[static_cast<std::size_t>(way)]; }

std::string to_line(const RunEvent& event) {
  // A message may carry bytes of a file that is not text; the log must stay readable.
  return std::visit([](const auto& each) { return to_json(each).dump(-1, ' ', false, Json::error_handler_t::replace); },
                    event);
}

RunEvent parse_event(std::string_view text, std::string_view place) {
  const Json line = parse_json(text, place);
  const auto event = json_field<std::string>(line, "event", place);
  const auto found =
      std::find_if(kParsers.begin(), kParsers.end(), [&](const EventParser& each) { return each.name == event; });
  if (found != kParsers.end()) return found->parse(line, place);
  std::vector<std::string_view> names;
  for (const EventParser& each : kParsers) names.push_back(each.name);
  throw DataError("{}: event '{}' is none of {}", place, event, fmt::join(names, ", "));
}

}  // namespace stoa::cluster

#include "stoa/launcher/supervisor.h"

#include <fmt/ranges.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "stoa/base/error.h"
#include "stoa/base/processors.h"
#include "stoa/launcher/node_check.h"
#include "stoa/trainer/layout_check.h"

namespace stoa::launcher {
namespace {

using cluster::AttemptOutcome;
using cluster::EndCause;
using cluster::NextStep;

constexpr double kMostCheck_s = 45;

ErrorKind kind_named(std::string_view name) {
  for (int code = exit_code(ErrorKind::kInternal); code <= exit_code(ErrorKind::kResource); ++code)
    if (error_kind_name(static_cast<ErrorKind>(code)) == name) return static_cast<ErrorKind>(code);
  return ErrorKind::kInternal;
}

/// A rank that cannot write its outcome, on a full disk for one, still ends the job with the code of its error.
ErrorKind unreported_kind(const ProcessEnd& starter) {
  const bool is_told = starter.signal == 0 && starter.exit_code > exit_code(ErrorKind::kInternal) &&
                       starter.exit_code <= exit_code(ErrorKind::kResource);
  return is_told ? static_cast<ErrorKind>(starter.exit_code) : ErrorKind::kComm;
}

}  // namespace

namespace {

bool says_why(const StopOrder& stop) { return stop.cause != EndCause::kNone && stop.cause != EndCause::kSignal; }

/// Whether the supervisor does not know itself why the attempt ended. Behind silence there may be a dead node.
bool needs_news(const cluster::AttemptEnded& ended, const AttemptEnd& end, ErrorKind error) {
  if (ended.outcome == AttemptOutcome::kFinished || !end.build_defect.empty()) return false;
  if (end.hang) return true;
  if (says_why(end.stop)) return false;
  return ended.outcome != AttemptOutcome::kFailed || error == ErrorKind::kComm;
}

/// What an attempt's record says of its end, from all that is known.
void give_cause(cluster::AttemptEnded& ended, ErrorKind& error, const AttemptEnd& end, const OutsideNews& news) {
  if (ended.outcome == AttemptOutcome::kFinished) return;
  const auto tell = [&](const std::string& text) {
    if (!text.empty()) ended.message = ended.message.empty() ? text : text + "; " + ended.message;
  };
  if (!end.build_defect.empty()) {
    ended.outcome = AttemptOutcome::kFailed;
    ended.cause = EndCause::kError;
    ended.message = end.build_defect;
    error = ErrorKind::kConfig;
  } else if (end.hang) {
    ended.cause = news.cause == EndCause::kNodeFailure ? EndCause::kNodeFailure : EndCause::kHang;
    ended.message = end.hang->summary + "\n" + end.hang->text;
    if (news.cause == EndCause::kNodeFailure) tell(news.text);
  } else if (says_why(end.stop)) {
    ended.cause = end.stop.cause;
  } else if (!end.gone_text.empty() && news.cause == EndCause::kTimeLimit) {
    ended.cause = EndCause::kRankLost;  // the limit is near, but that is not why
  } else if (news.cause != EndCause::kUnknown) {
    ended.cause = news.cause;
    tell(news.text);
  } else if (ended.outcome == AttemptOutcome::kFailed && error != ErrorKind::kComm) {
    ended.cause = EndCause::kError;
  } else {
    // Ranks that saved without an order of the supervisor's heard a signal of somebody else's.
    const bool by_signal = end.stop.cause == EndCause::kSignal || ended.outcome == AttemptOutcome::kSaved;
    ended.cause = by_signal ? EndCause::kSignal : EndCause::kRankLost;
  }
}

}  // namespace

std::string describe_end(const ProcessEnd& end, std::string_view starter) {
  if (end.signal != 0) return fmt::format("{}: signal {}, {}", starter, end.signal, ::strsignal(end.signal));
  const int signal = end.exit_code - 128;
  if (signal > 0 && signal < NSIG) return fmt::format("a rank: signal {}, {}", signal, ::strsignal(signal));
  return fmt::format("{}: exit code {}", starter, end.exit_code);
}

std::filesystem::path enter_fence(const RunDirectory& run, const std::string& attempt) {
  const std::filesystem::path folder = run.path / "attempts";
  std::filesystem::create_directories(folder);
  for (const auto& other : std::filesystem::directory_iterator(folder))
    if (other.is_symlink()) std::filesystem::remove(other.path());
  const std::filesystem::path link = folder / attempt;
  if (::symlink("..", link.c_str()) != 0)
    throw StorageError("{}: symlink failed: {}", link.string(), errno_message(errno));
  sync_directory(folder);
  return link;
}

Supervisor::Supervisor(const PreparedRun& run, cluster::RunRecord& record, Allocation& allocation,
                       const SupervisorRules& rules, RunView& view, const Clock& clock)
    : run_(run), record_(record), allocation_(allocation), rules_(rules), view_(view), clock_(clock) {
  const std::string prefix = allocation.attempt_prefix();
  for (const cluster::Attempt& attempt : record.state().attempts)
    if (prefix.empty() || attempt.started.attempt.starts_with(prefix)) ++launches_;
}

Conclusion Supervisor::run(AttemptRunner& runner) {
  Conclusion last{.decision = {NextStep::kNextJob, {}}};
  for (;;) {
    const auto placement = place();
    if (!placement) {
      view_.say("no layout of this run fits on the nodes that are left");
      last.decision = {NextStep::kNextJob, {}};
      return last;
    }
    if (!check_nodes(placement->nodes)) continue;
    allocation_.stand_guard();
    last = attempt(runner, *placement);
    if (last.decision.next != NextStep::kRestartHere || !rules_.restarts_here) return last;
    view_.say("starting again on the nodes that are left");
  }
}

std::optional<Supervisor::Placement> Supervisor::place() {
  std::vector<std::string> nodes = allocation_.nodes();
  std::erase_if(nodes, [&](const std::string& node) {
    const auto& excluded = record_.state().excluded;
    return std::any_of(excluded.begin(), excluded.end(), [&](const auto& each) { return each.node == node; });
  });
  const Experiment& e = run_.experiment;
  const std::int64_t room = std::ssize(nodes) * allocation_.ranks_per_node();
  trainer::ParallelSettings parallel = e.parallel;
  const std::int64_t block = std::int64_t{parallel.mesh.pipeline} * parallel.mesh.tensor;
  for (std::int64_t data = std::min<std::int64_t>(parallel.mesh.data, room / block); data >= 1; --data) {
    parallel.mesh.data = static_cast<int>(data);
    if (trainer::check_layout(e.model, e.training, parallel)) continue;
    const std::int64_t needed =
        (parallel.mesh.ranks() + allocation_.ranks_per_node() - 1) / allocation_.ranks_per_node();
    nodes.resize(std::size_t(std::min<std::int64_t>(needed, std::ssize(nodes))));
    return Placement{nodes, parallel.mesh};
  }
  return std::nullopt;
}

bool Supervisor::check_nodes(const std::vector<std::string>& nodes) {
  const auto ask = [&](std::span<const std::string> some, Allocation::Check check) {
    const auto command = allocation_.preflight(some, check);
    return command ? run_command(command->argv, kMostCheck_s, command->environment) : CommandResult{};
  };
  if (!allocation_.preflight(nodes, Allocation::Check::kNodes)) return true;
  CommandResult result = ask(nodes, Allocation::Check::kNodes);
  NodeReports reports = parse_reports(result.output);
  // One node that cannot start anything ends the check of all: those that told nothing are asked alone.
  for (const std::string& node : nodes) {
    if (reports.has(node)) continue;
    const CommandResult alone = ask(std::span(&node, 1), Allocation::Check::kNodes);
    for (const NodeReport& report : parse_reports(alone.output).nodes) reports.nodes.push_back(report);
    if (!alone.is_good()) result.error_output = alone.error_output;
  }
  if (reports.nodes.empty())
    view_.say(fmt::format("the check of the nodes did not run: {}", result.error_output.substr(0, 500)));
  auto bad = judge_nodes(nodes, reports, run_.machine, allocation_.memory_gib(), clock_.unix_s());
  // Between attempts of a job its links are the same.
  if (bad.empty() && launches_ == 0) {
    reports.links = parse_reports(ask(nodes, Allocation::Check::kLinks).output).links;
    bad = judge_nodes(nodes, reports, run_.machine, allocation_.memory_gib(), clock_.unix_s());
  }
  for (const BadNode& each : bad) exclude(each.node, each.reason);
  return bad.empty();
}

void Supervisor::exclude(const std::string& node, const std::string& reason) {
  view_.say(fmt::format("{} is left out: {}", node, reason));
  record_.append(cluster::NodeExcluded{clock_.unix_s(), node, reason});
}

cluster::AttemptStarted Supervisor::started_event(const std::string& name, const Placement& placement) const {
  const trainer::ParallelSettings& parallel = run_.experiment.parallel;
  const int ranks = placement.mesh.ranks();
  const bool by_core = run_.machine.rate.resource == "core";
  const auto allowed = static_cast<int>(allowed_processors().size());
  const int local = std::max(1, std::min(ranks, allocation_.ranks_per_node()));
  const int threads = parallel.threads_per_rank > 0 ? parallel.threads_per_rank : std::max(1, allowed / local);
  if (placement.nodes.size() == 1 && ranks * threads > allowed)
    view_.say(
        fmt::format("stoa: warning: {} ranks x {} threads = {}, but this process may use {} processors: they "
                    "will take turns",
                    ranks, threads, ranks * threads, allowed));
  cluster::AttemptStarted started{.attempt = name,
                                  .time = clock_.unix_s(),
                                  .ranks = ranks,
                                  .resources = by_core ? std::int64_t{ranks} * threads : ranks,
                                  .host = host_name(),
                                  .pid = ::getpid(),
                                  .nodes = placement.nodes,
                                  .layout = trainer::mesh_text(placement.mesh)};
  allocation_.describe(started);
  return started;
}

Conclusion Supervisor::attempt(AttemptRunner& runner, const Placement& placement) {
  const std::string name = fmt::format("{}{}", allocation_.attempt_prefix(), ++launches_);
  const cluster::AttemptStarted started = started_event(name, placement);
  RunDirectory directory = run_.directory;
  if (rules_.fences) directory.path = enter_fence(run_.directory, name);
  view_.begin(started, cluster::usage_records(record_.state()));
  record_.append(started);
  std::filesystem::remove(directory.outcome());  // of an attempt that is in the record already

  RankLaunch launch{
      .spec = directory.spec(), .attempt = name, .ranks = placement.mesh.ranks(), .nodes = placement.nodes};
  if (placement.mesh.data != run_.experiment.parallel.mesh.data)
    launch.overrides.push_back(fmt::format("parallel.data={}", placement.mesh.data));
  AttemptRules rules{.ranks = placement.mesh.ranks(), .attempt = name, .watch = rules_.watch};
  rules.switch_file = run_.directory.switch_file();
  rules.watch.deadline_s = run_.experiment.parallel.deadline_s;
  rules.watch.patience_s = std::max(rules.watch.patience_s, rules.watch.deadline_s + 30);
  if (const auto end = allocation_.end_unix_s()) rules.save_at_unix_s = *end - rules_.warning_s;
  const AttemptEvents events{.line = [this](const std::string& line) { view_.hear(line); },
                             .stop_asked =
                                 [this](const StopOrder& stop) {
                                   if (stop.request == StopRequest::kSave) view_.saving();
                                   const bool again = allocation_.stops_at_second_request();
                                   view_.say(stop.request == StopRequest::kAtOnce ? "stopping at once"
                                             : again ? "saving, then stopping; again to stop at once"
                                                     : stop.text + ": saving, then stopping");
                                 },
                             .told = [this](const std::string& text) { view_.say(text); },
                             .user_asked = [this] { return user_asked(); }};
  const AttemptEnd end = runner.run(allocation_, std::move(launch), rules, events, clock_);
  view_.end();
  return conclude(started, directory, end);
}

std::optional<cluster::UserAsked> Supervisor::user_asked() {
  try {
    record_.refresh();
  } catch (const Error& failure) {
    view_.say(failure.what());
  }
  return record_.state().asked;
}

Conclusion Supervisor::conclude(const cluster::AttemptStarted& started, const RunDirectory& directory,
                                const AttemptEnd& end) {
  Conclusion conclusion{.stop = end.stop, .process = end.process};
  const auto outcome = read_outcome(directory.outcome());
  auto reported = reported_end(directory, started.attempt, started.time);
  cluster::AttemptEnded& ended = conclusion.ended;
  if (reported) {
    ended = *reported;
    ended.time = clock_.unix_s();
    conclusion.error = kind_named(outcome->error_kind);
  } else {
    const auto sign = last_sign(directory, started.attempt, started.time);
    ended = {.attempt = started.attempt,
             .time = std::max(sign.time, clock_.unix_s()),
             .outcome = AttemptOutcome::kLost,
             .step = sign.step,
             .checkpoint_step = newest_checkpoint(directory),
             .energy_j = sign.energy_j,
             .energy_source = sign.energy_source,
             .message = fmt::format("{}no outcome was reported ({})", end.gone_text.empty() ? "" : end.gone_text + "; ",
                                    describe_end(end.process, allocation_.starter()))};
    conclusion.error = unreported_kind(end.process);
  }

  OutsideNews news;
  if (needs_news(ended, end, conclusion.error)) news = allocation_.news();
  give_cause(ended, conclusion.error, end, news);
  record_.refresh();
  if (const cluster::Attempt* running = record_.state().running();
      running == nullptr || running->started.attempt != started.attempt)
    throw CommError("attempt {} was cut off and has been replaced{}: what it did since is void", started.attempt,
                    running == nullptr ? "" : " by attempt " + running->started.attempt);
  record_.append(ended);

  if (end.hang && !end.culprit_host.empty()) {
    // A rank may hang for a reason of its own; a node on which it happens twice is left out.
    if (suspect_ == end.culprit_host) exclude(suspect_, "ranks on it hung twice");
    suspect_ = end.culprit_host;
  }
  const auto limit = allocation_.end_unix_s();
  conclusion.decision = cluster::decide({.outcome = ended.outcome,
                                         .cause = ended.cause,
                                         .error = conclusion.error,
                                         .scheduler_requeues = news.continues_itself,
                                         .failures_in_row = cluster::failures_in_row(record_.state()),
                                         .most_failures = rules_.most_failures,
                                         .left_s = news.is_over ? 0
                                                   : limit      ? *limit - rules_.warning_s - clock_.unix_s()
                                                                : 1e9,
                                         .restart_s = rules_.least_left_s,
                                         .nodes_fit = place().has_value()});
  return conclusion;
}

}  // namespace stoa::launcher

#include "stoa/launcher/local_run.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "stoa/base/error.h"
#include "stoa/base/log.h"
#include "stoa/base/processors.h"
#include "stoa/checkpoint/publication.h"
#include "stoa/cluster/machine_file.h"
#include "stoa/cluster/run_record.h"
#include "stoa/launcher/data_files.h"
#include "stoa/launcher/machine_choice.h"
#include "stoa/launcher/progress.h"
#include "stoa/launcher/run_directory.h"
#include "stoa/launcher/run_report.h"
#include "stoa/launcher/training_process.h"
#include "stoa/trainer/loop/starting_point.h"

namespace stoa::launcher {
namespace {

using cluster::AttemptOutcome;

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

int terminal_columns(std::FILE* stream) {
  winsize size{};
  return ::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

ProgressView::Settings view_settings(std::FILE* stream, const Experiment& experiment) {
  const bool live = ::isatty(::fileno(stream)) == 1;
  return {.form = live ? ProgressForm::kLive : ProgressForm::kLines,
          .columns = live ? terminal_columns(stream) : 80,
          .log_every = experiment.training.log_every};
}

ErrorKind kind_named(std::string_view name) {
  for (int code = exit_code(ErrorKind::kInternal); code <= exit_code(ErrorKind::kResource); ++code)
    if (error_kind_name(static_cast<ErrorKind>(code)) == name) return static_cast<ErrorKind>(code);
  return ErrorKind::kInternal;
}

/// A rank that fails tells neither step nor energy: the last metrics line does.
cluster::AttemptEnded ended_event(const Outcome& outcome, const cluster::RunRecord::SignOfLife& sign) {
  const auto kind = outcome.kind == Outcome::Kind::kFinished ? AttemptOutcome::kFinished
                    : outcome.kind == Outcome::Kind::kSaved  ? AttemptOutcome::kSaved
                                                             : AttemptOutcome::kFailed;
  return {.attempt = outcome.attempt,
          .time = outcome.time,
          .outcome = kind,
          .step = kind == AttemptOutcome::kFailed ? std::max(outcome.step, sign.step) : outcome.step,
          .energy_j = std::max(outcome.energy_j, sign.energy_j),
          .energy_source = sign.energy_source,
          .message = outcome.message};
}

/// What was last heard of an attempt that never reported back.
cluster::RunRecord::SignOfLife last_sign(const RunDirectory& run, const std::string& attempt, double started) {
  cluster::RunRecord::SignOfLife sign{.time = started};
  for (const cluster::StepMetrics& step : cluster::read_metrics(run.metrics()).steps)
    if (step.attempt == attempt && step.time >= sign.time)
      sign = {.time = step.time, .step = step.step, .energy_j = step.energy_j, .energy_source = step.energy_source};
  return sign;
}

/// A rank that cannot write its outcome, on a full disk for one, still ends the job with the code of its error.
ErrorKind unreported_kind(const ProcessEnd& mpirun) {
  const bool is_told = mpirun.signal == 0 && mpirun.exit_code > exit_code(ErrorKind::kInternal) &&
                       mpirun.exit_code <= exit_code(ErrorKind::kResource);
  return is_told ? static_cast<ErrorKind>(mpirun.exit_code) : ErrorKind::kComm;
}

std::string describe_end(const ProcessEnd& mpirun) {
  if (mpirun.signal != 0) return fmt::format("mpirun: signal {}, {}", mpirun.signal, ::strsignal(mpirun.signal));
  if (mpirun.exit_code > 128)
    return fmt::format("a rank: signal {}, {}", mpirun.exit_code - 128, ::strsignal(mpirun.exit_code - 128));
  return fmt::format("mpirun: exit code {}", mpirun.exit_code);
}

constexpr std::string_view kGoesOn = "the same command goes on from the last checkpoint";

std::string failure_text(const Outcome& outcome) {
  const bool lost = kind_named(outcome.error_kind) == ErrorKind::kComm;
  return lost ? fmt::format("{}; {}", outcome.message, kGoesOn) : outcome.message;
}

class LocalRun {
 public:
  LocalRun(const RunRequest& request, std::FILE* out, std::FILE* progress, const Clock& clock)
      : experiment_(read_experiment(request.experiment_file, request.overrides)),
        ranks_(request.ranks),
        machine_file_(machine_file(experiment_, request.experiment_file)),
        machine_(cluster::read_machine(machine_file_)),
        run_{experiment_.run_directory},
        clock_(clock),
        out_(out),
        log_(progress, "stoa"),
        view_(progress, clock, view_settings(progress, experiment_)) {}

  int run() {
    std::filesystem::create_directories(run_.path);
    RunLock lock(run_.lock());
    refuse_another_experiment(run_, spec());
    cluster::RunRecord record(run_.events());
    close_open_attempt(record);
    if (is_finished(record.state())) {
      fmt::print(out_, "{}: finished at step {} already; give it more training.steps to go on\n", run_.path.string(),
                 experiment_.training.steps);
      return kExitFinished;
    }
    check_first_weights();
    make_data(experiment_, log_);
    write_spec();
    if (record.state().phase == cluster::RunPhase::kAbsent)
      record.append(cluster::RunCreated{experiment_.name, clock_.unix_s()});
    lock.let_children_hold();
    return attempt(record);
  }

 private:
  bool is_finished(const cluster::RunState& state) const {
    const auto outcome = read_outcome(run_.outcome());
    return state.phase == cluster::RunPhase::kFinished && outcome && outcome->step >= experiment_.training.steps;
  }

  /// Before the data is made, which can take hours. A run that goes on does not need them any more.
  void check_first_weights() const {
    const std::string& folder = experiment_.training.start_from;
    if (folder.empty() || !checkpoint::scan_published(run_.path / "checkpoints").empty()) return;
    trainer::check_start(folder, trainer::make_parameter_table(experiment_.model));
  }

  /// An attempt can have ended after the `stoa` that started it was killed, or been killed with it.
  void close_open_attempt(cluster::RunRecord& record) const {
    if (record.state().phase != cluster::RunPhase::kRunning) return;
    const cluster::AttemptStarted& open = record.state().attempts.back().started;
    const auto sign = last_sign(run_, open.attempt, open.time);
    const auto outcome = read_outcome(run_.outcome());
    if (outcome && outcome->attempt == open.attempt)
      record.append(ended_event(*outcome, sign));
    else
      record.close_lost_attempt(sign);
  }

  /// The machine by name, also where the experiment gives its file.
  Experiment spec() const {
    Experiment spec = experiment_;
    spec.cluster.machine = machine_file_.stem().string();
    return spec;
  }

  /// The machine goes into the run's directory with the spec: prices of this run never change under it.
  void write_spec() {
    std::filesystem::create_directories(run_.machines());
    const std::filesystem::path copy = run_.machines() / (machine_file_.stem().string() + ".yaml");
    if (!std::filesystem::exists(copy)) write_file_durably(copy, read_text_file(machine_file_));
    write_file_durably(run_.spec(), experiment_yaml(spec()));
  }

  std::int64_t processors_held() const {
    const int ranks = experiment_.parallel.mesh.ranks();
    const auto allowed = static_cast<int>(allowed_processors().size());
    const int threads = experiment_.parallel.threads_per_rank > 0 ? experiment_.parallel.threads_per_rank
                                                                  : std::max(1, allowed / ranks);
    if (ranks * threads > allowed)
      log_.warning("{} ranks x {} threads = {}, but this process may use {} processors: they will take turns", ranks,
                   threads, ranks * threads, allowed);
    return static_cast<std::int64_t>(ranks) * threads;
  }

  int attempt(cluster::RunRecord& record) {
    const std::string name = fmt::format("{}", record.state().attempts.size() + 1);
    const ProcessSettings command =
        ranks_({.spec = run_.spec(), .attempt = name, .ranks = experiment_.parallel.mesh.ranks()});
    const bool by_core = machine_.rate.resource == "core";
    started_ = {.attempt = name,
                .time = clock_.unix_s(),
                .ranks = experiment_.parallel.mesh.ranks(),
                .resources = by_core ? processors_held() : experiment_.parallel.mesh.ranks(),
                .host = host_name(),
                .pid = ::getpid()};
    for (const cluster::UsageRecord& usage : cluster::usage_records(record.state()))
      spent_ = spent_ + price(usage, machine_);
    record.append(started_);
    std::filesystem::remove(run_.outcome());  // of an attempt that is in the record already
    const TrainingEvents events{.line = [this](const std::string& line) { hear(line); },
                                .stop_asked = [this](StopRequest request) { tell_stop(request); }};
    const TrainingEnd end = run_training(command, events);
    view_.end();
    return finish(record, end);
  }

  void hear(const std::string& line) {
    cluster::RunMetrics heard;
    try {
      heard = cluster::parse_metrics(line + "\n", "stoa-train");
    } catch (const DataError&) {
      view_.say(line);
      return;
    }
    for (const auto& start : heard.starts) {
      view_.say(start_text(start));
      if (start.ranks > 1) view_.say("layout: " + layout_of(experiment_));
    }
    for (const auto& evaluation : heard.evaluations) view_.say(evaluation_text(evaluation));
    for (const auto& checkpoint : heard.checkpoints) view_.say(checkpoint_text(checkpoint));
    for (const auto& step : heard.steps) view_.show(step, price_now(step));
  }

  std::string price_now(const cluster::StepMetrics& step) const {
    const cluster::UsageRecord usage{
        .run = experiment_.name,
        .attempt = started_.attempt,
        .begin_unix_ms = static_cast<std::int64_t>(started_.time * 1e3),
        .end_unix_ms = static_cast<std::int64_t>(std::max(started_.time, clock_.unix_s()) * 1e3),
        .resources = started_.resources,
        .energy_j = step.energy_j,
        .energy_source = step.energy_source};
    const cluster::Price total = spent_ + price(usage, machine_);
    return cluster::format_money(total.money_micros, total.currency);
  }

  void tell_stop(StopRequest request) {
    if (request == StopRequest::kSave) view_.saving();
    view_.say(request == StopRequest::kSave ? "saving, then stopping; again to stop at once" : "stopping at once");
  }

  int finish(cluster::RunRecord& record, const TrainingEnd& end) {
    const auto outcome = read_outcome(run_.outcome());
    const bool reported = outcome && outcome->attempt == started_.attempt;
    cluster::RunRecord::SignOfLife sign = last_sign(run_, started_.attempt, started_.time);
    if (reported) {
      cluster::AttemptEnded ended = ended_event(*outcome, sign);
      ended.time = clock_.unix_s();
      record.append(ended);
    } else {
      sign.time = std::max(sign.time, clock_.unix_s());
      record.close_lost_attempt(sign);
    }
    write_report(reported && outcome->kind == Outcome::Kind::kFinished);
    if (reported) return conclude(*outcome);
    if (end.stop == StopRequest::kAtOnce) return 128 + end.stop_signal;
    throw Error(unreported_kind(end.process),
                fmt::format("{}: attempt {} died without a report ({}), last heard of at step {}; {}",
                            run_.path.string(), started_.attempt, describe_end(end.process), sign.step, kGoesOn));
  }

  int conclude(const Outcome& outcome) {
    if (outcome.kind == Outcome::Kind::kFailed) throw Error(kind_named(outcome.error_kind), failure_text(outcome));
    if (outcome.kind == Outcome::Kind::kFinished) {
      fmt::print(out_, "{}: finished at step {}; {}\n", run_.path.string(), outcome.step, run_.report().string());
      return kExitFinished;
    }
    fmt::print(out_, "{}: saved at step {} of {}; the same command goes on from there\n", run_.path.string(),
               outcome.step, experiment_.training.steps);
    return kExitSaved;
  }

  /// A report that cannot be made takes nothing away from a run that ended well.
  void write_report(bool is_finished) {
    try {
      const cluster::RunReport report = report_of(run_);
      write_file_durably(run_.report(), render_html(report));
      if (!is_finished) return;
      const int columns = std::clamp(terminal_columns(out_), 60, 120);
      fmt::print(out_, "{}\n", render_loss_curve(report, {.columns = columns, .charset = cluster::Charset::kUtf8}));
      for (const cluster::ReportFact& fact : report.sections.front().facts)
        fmt::print(out_, "{:<24}{} {}\n", fact.label, fact.value, fact.note.empty() ? "" : "(" + fact.note + ")");
    } catch (const Error& failure) {
      log_.warning("no report: {}", failure.what());
    }
  }

  Experiment experiment_;
  std::function<ProcessSettings(const RankCommand&)> ranks_;
  std::filesystem::path machine_file_;
  cluster::MachineSettings machine_;
  RunDirectory run_;
  const Clock& clock_;
  std::FILE* out_;
  mutable Log log_;
  ProgressView view_;
  cluster::AttemptStarted started_;
  cluster::Price spent_;
};

}  // namespace

int run_locally(const RunRequest& request, std::FILE* out, std::FILE* progress, const Clock& clock) {
  return LocalRun(request, out, progress, clock).run();
}

}  // namespace stoa::launcher

#include "stoa/launcher/run_view.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>

#include "stoa/base/error.h"
#include "stoa/launcher/run_report.h"

namespace stoa::launcher {
namespace {

ProgressView::Settings view_settings(std::FILE* stream, const Experiment& experiment) {
  const bool live = ::isatty(::fileno(stream)) == 1;
  return {.form = live ? ProgressForm::kLive : ProgressForm::kLines,
          .columns = live ? terminal_columns(stream) : 80,
          .log_every = experiment.training.log_every};
}

}  // namespace

int terminal_columns(std::FILE* stream) {
  winsize size{};
  return ::ioctl(::fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

RunView::RunView(std::FILE* stream, const PreparedRun& run, const Clock& clock)
    : run_(run), clock_(clock), view_(stream, clock, view_settings(stream, run.experiment)) {}

void RunView::begin(const cluster::AttemptStarted& started, const std::vector<cluster::UsageRecord>& before) {
  started_ = started;
  spent_ = {};
  for (const cluster::UsageRecord& usage : before) spent_ = spent_ + price(usage, run_.machine);
}

void RunView::hear(const std::string& line) {
  cluster::RunMetrics heard;
  try {
    heard = cluster::parse_metrics(line + "\n", "stoa-train");
  } catch (const DataError&) {
    view_.say(line);
    return;
  }
  for (const auto& start : heard.starts) {
    view_.say(start_text(start));
    if (start.ranks > 1)
      view_.say("layout: " + (started_.layout.empty() ? layout_of(run_.experiment) : started_.layout));
  }
  for (const auto& evaluation : heard.evaluations) view_.say(evaluation_text(evaluation));
  for (const auto& checkpoint : heard.checkpoints) view_.say(checkpoint_text(checkpoint));
  for (const auto& step : heard.steps) view_.show(step, price_now(step));
}

std::string RunView::price_now(const cluster::StepMetrics& step) const {
  const cluster::UsageRecord usage{
      .run = run_.experiment.name,
      .attempt = started_.attempt,
      .begin_unix_ms = static_cast<std::int64_t>(started_.time * 1e3),
      .end_unix_ms = static_cast<std::int64_t>(std::max(started_.time, clock_.unix_s()) * 1e3),
      .resources = started_.resources,
      .energy_j = step.energy_j,
      .energy_source = step.energy_source};
  const cluster::Price total = spent_ + price(usage, run_.machine);
  return cluster::format_money(total.money_micros, total.currency);
}

}  // namespace stoa::launcher

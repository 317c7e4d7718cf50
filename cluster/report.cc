#include "stoa/cluster/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "stoa/base/clock.h"
#include "stoa/base/units.h"

namespace stoa::cluster {
namespace {

/// Figures that several sections need.
struct Totals {
  double training_s = 0;  ///< in steps
  double wall_s = 0;      ///< of the attempts
  double mean_utilisation = 0;
  std::int64_t skipped = 0;
};

std::optional<std::int64_t> start_step(const RunMetrics& metrics, const std::string& attempt) {
  for (const StartMetrics& start : metrics.starts)
    if (start.attempt == attempt) return start.step;
  return std::nullopt;
}

ReportAttempt describe_attempt(const Attempt& attempt, const RunMetrics& metrics) {
  const AttemptStarted& started = attempt.started;
  ReportAttempt row{.attempt = started.attempt,
                    .started = started.time,
                    .duration_s = std::nullopt,
                    .ranks = started.ranks,
                    .resources = started.resources,
                    .host = started.host,
                    .outcome = "running",
                    .from_step = start_step(metrics, started.attempt),
                    .to_step = 0,
                    .price = std::nullopt,
                    .message = ""};
  if (attempt.ended) {
    row.duration_s = std::max(0.0, attempt.ended->time - started.time);
    row.outcome = outcome_name(attempt.ended->outcome);
    row.to_step = attempt.ended->step;
    row.message = attempt.ended->message;
  } else if (!metrics.steps.empty()) {
    row.to_step = metrics.steps.back().step;
  }
  return row;
}

Totals total_up(const RunReport& report) {
  Totals totals;
  double weighted = 0;
  for (const StepMetrics& step : report.metrics.steps) {
    totals.training_s += step.step_s;
    weighted += step.step_s * step.model_flops_utilisation;
    totals.skipped += step.skipped.empty() ? 0 : 1;
  }
  if (totals.training_s > 0) totals.mean_utilisation = weighted / totals.training_s;
  for (const ReportAttempt& attempt : report.attempts) totals.wall_s += attempt.duration_s.value_or(0);
  return totals;
}

std::string hours(const RunReport& report) {
  return fmt::format("{:.6g} {}-hours", report.total.resource_hours(), report.resource);
}

std::string co2e(double grams) {
  return grams >= 1e6   ? fmt::format("{:.3g} t CO2e", grams / 1e6)
         : grams >= 1e3 ? fmt::format("{:.3g} kg CO2e", grams / 1e3)
                        : fmt::format("{:.3g} g CO2e", grams);
}

std::string marked(const std::string& energy_source) {
  return energy_source.empty() ? "source not recorded" : energy_source;
}

/// "step 0 and step 33", "step 33"
std::string steps_named(std::int64_t first, std::int64_t last) {
  return first == last ? fmt::format("step {}", last) : fmt::format("step {} and step {}", first, last);
}

ReportSection summary(const RunReport& report, const Totals& totals) {
  ReportSection section{"Summary", {}};
  const RunMetrics& metrics = report.metrics;
  if (!metrics.evaluations.empty()) {
    const EvaluationMetrics& first = metrics.evaluations.front();
    const EvaluationMetrics& last = metrics.evaluations.back();
    section.facts.push_back({"Held-out bits per byte",
                             first.step == last.step
                                 ? fmt::format("{:.3f}", last.bits_per_byte)
                                 : fmt::format("{:.3f} → {:.3f}", first.bits_per_byte, last.bits_per_byte),
                             "at " + steps_named(first.step, last.step)});
  }
  section.facts.push_back({"Price", format_money(report.total.money_micros, report.total.currency), hours(report)});
  section.facts.push_back({"Energy", fmt::format("{:.4g} kWh", report.total.energy_kwh),
                           fmt::format("at the node, {}", marked(report.total.energy_source))});
  section.facts.push_back(
      {"Time", format_duration(totals.wall_s),
       fmt::format("in {} attempt{}", report.attempts.size(), report.attempts.size() == 1 ? "" : "s")});
  return section;
}

ReportSection training(const RunReport& report, const Totals& totals) {
  ReportSection section{"Training", {}};
  const RunMetrics& metrics = report.metrics;
  section.facts.push_back({"State", std::string(phase_name(report.phase))});
  if (!metrics.steps.empty()) {
    const StepMetrics& first = metrics.steps.front();
    const StepMetrics& last = metrics.steps.back();
    section.facts.push_back({"Steps", fmt::format("{} of {}", format_grouped(last.step), format_grouped(last.steps)),
                             totals.skipped == 0 ? "" : fmt::format("{} skipped", totals.skipped)});
    section.facts.push_back({"Training loss",
                             first.step == last.step ? fmt::format("{:.4f}", last.loss)
                                                     : fmt::format("{:.4f} → {:.4f}", first.loss, last.loss),
                             "nats per token, " + steps_named(first.step, last.step)});
    section.facts.push_back({"Tokens", format_grouped(last.consumed_tokens)});
    double step_tokens = 0;
    for (const StepMetrics& step : metrics.steps) step_tokens += step.tokens_per_s * step.step_s;
    if (totals.training_s > 0)
      section.facts.push_back({"Throughput", fmt::format("{} tokens/s", format_count(step_tokens / totals.training_s)),
                               fmt::format("over {} in steps", format_duration(totals.training_s))});
    section.facts.push_back({"Model-FLOPs utilisation", fmt::format("{:.1f} %", 100 * totals.mean_utilisation),
                             fmt::format("of a peak of {:.4g} GFLOP/s", last.peak_gflops)});
  }
  if (!metrics.evaluations.empty()) {
    const EvaluationMetrics& first = metrics.evaluations.front();
    const EvaluationMetrics& last = metrics.evaluations.back();
    section.facts.push_back({"Held-out perplexity",
                             first.step == last.step
                                 ? fmt::format("{:.4g}", last.perplexity)
                                 : fmt::format("{:.4g} → {:.4g}", first.perplexity, last.perplexity),
                             "per token, " + steps_named(first.step, last.step)});
  }
  if (!metrics.checkpoints.empty()) {
    double seconds = 0;
    for (const CheckpointMetrics& each : metrics.checkpoints) seconds += each.seconds;
    section.facts.push_back(
        {"Checkpoints", fmt::format("{}", metrics.checkpoints.size()),
         fmt::format("{} each, {} together", format_bytes(static_cast<double>(metrics.checkpoints.back().bytes)),
                     format_duration(seconds))});
  }
  return section;
}

ReportSection price_section(const RunReport& report, const MachineSettings& machine) {
  ReportSection section{"Price", {}};
  for (const ReportAttempt& attempt : report.attempts) {
    if (!attempt.price) continue;
    section.facts.push_back(
        {fmt::format("Attempt {}", attempt.attempt), format_money(attempt.price->money_micros, attempt.price->currency),
         fmt::format("{} {}s × {:.3f} s = {:.6g} {}-hours", attempt.resources, report.resource,
                     static_cast<double>(attempt.price->resource_millis) / 1e3 / static_cast<double>(attempt.resources),
                     attempt.price->resource_hours(), report.resource)});
  }
  section.facts.push_back(
      {"Rate", fmt::format("{:.9g} {} per {}-hour", machine.rate.price, machine.rate.currency, machine.rate.resource),
       machine.rate.source});
  section.facts.push_back({"Total", format_money(report.total.money_micros, report.total.currency),
                           fmt::format("{} × {:.9g} {}, rounded half-even to millionths per attempt", hours(report),
                                       machine.rate.price, machine.rate.currency)});
  return section;
}

ReportSection energy_section(const RunReport& report, const MachineSettings& machine) {
  const Price& total = report.total;
  ReportSection section{"Energy", {}};
  section.facts.push_back({"At the node", fmt::format("{:.4g} kWh", total.energy_kwh), marked(total.energy_source)});
  section.facts.push_back(
      {"Node power",
       fmt::format("{:.4g} W idle, {:.4g} W busy", machine.power.idle_w.value, machine.power.busy_w.value),
       fmt::format("idle: {}; busy: {}", machine.power.idle_w.source, machine.power.busy_w.source)});
  section.facts.push_back({"PUE", fmt::format("{:.3g}", machine.power.pue.value), machine.power.pue.source});
  section.facts.push_back({"Facility", fmt::format("{:.4g} kWh", total.facility_kwh),
                           fmt::format("{:.4g} kWh × PUE {:.3g}", total.energy_kwh, machine.power.pue.value)});
  section.facts.push_back(
      {"Grid", fmt::format("{:.4g} g CO2e/kWh", machine.grid_g_per_kwh.value), machine.grid_g_per_kwh.source});
  section.facts.push_back(
      {"Emissions", co2e(total.co2e_g),
       fmt::format("{:.4g} kWh × {:.4g} g/kWh, location-based", total.facility_kwh, machine.grid_g_per_kwh.value)});
  return section;
}

ReportSection model_section(const ReportFacts& facts) {
  ReportSection section{"Model and data", {}};
  section.facts.push_back({"Model", facts.model});
  section.facts.push_back({"Parameters", format_grouped(facts.parameters)});
  for (const std::string& source : facts.data_sources) section.facts.push_back({"Data", source});
  return section;
}

ReportSection reproduction_section(const RunReport& report, const ReportFacts& facts) {
  ReportSection section{"Reproduction", {}};
  if (!report.metrics.starts.empty()) {
    const StartMetrics& last = report.metrics.starts.back();
    section.facts.push_back({"Ranks", fmt::format("{} × {} threads", last.ranks, last.threads_per_rank)});
    section.facts.push_back({"Processor path", last.isa});
  }
  section.facts.push_back({"Machine", facts.machine.name, facts.machine.description});
  section.facts.insert(section.facts.end(), facts.reproduction.begin(), facts.reproduction.end());
  return section;
}

template <typename T, typename F>
std::vector<ChartPoint> series(const std::vector<T>& list, F value) {
  std::vector<ChartPoint> points;
  points.reserve(list.size());
  for (const T& each : list) points.push_back({static_cast<double>(each.step), value(each)});
  return points;
}

}  // namespace

RunReport build_report(const RunState& state, const RunMetrics& metrics, const ReportFacts& facts) {
  RunReport report;
  report.name = facts.name;
  report.phase = state.phase;
  report.resource = facts.machine.rate.resource;
  report.total.currency = facts.machine.rate.currency;
  report.metrics = metrics;
  for (const Attempt& attempt : state.attempts) report.attempts.push_back(describe_attempt(attempt, metrics));
  for (const UsageRecord& record : usage_records(state)) {
    const auto row = std::find_if(report.attempts.begin(), report.attempts.end(),
                                  [&](const ReportAttempt& each) { return each.attempt == record.attempt; });
    row->price = price(record, facts.machine);
    report.total = report.total + *row->price;
  }
  const Totals totals = total_up(report);
  report.sections = {summary(report, totals),
                     training(report, totals),
                     price_section(report, facts.machine),
                     energy_section(report, facts.machine),
                     model_section(facts),
                     reproduction_section(report, facts)};
  return report;
}

std::vector<ChartPoint> loss_series(const RunMetrics& metrics) {
  return series(metrics.steps, [](const StepMetrics& step) { return step.loss; });
}

std::vector<ChartPoint> held_out_series(const RunMetrics& metrics) {
  return series(metrics.evaluations, [](const EvaluationMetrics& evaluation) { return evaluation.loss; });
}

std::vector<ChartPoint> learning_rate_series(const RunMetrics& metrics) {
  return series(metrics.steps, [](const StepMetrics& step) { return step.learning_rate; });
}

std::vector<ChartPoint> throughput_series(const RunMetrics& metrics) {
  std::vector<ChartPoint> points;
  double elapsed_s = 0;
  for (const StepMetrics& step : metrics.steps) {
    elapsed_s += step.step_s;
    points.push_back({elapsed_s / 60, step.tokens_per_s});
  }
  return points;
}

std::string format_money(std::int64_t money_micros, const std::string& currency) {
  constexpr std::uint64_t kMicros = 1'000'000;
  const bool negative = money_micros < 0;
  const std::uint64_t size =
      negative ? 0 - static_cast<std::uint64_t>(money_micros) : static_cast<std::uint64_t>(money_micros);
  std::string text = fmt::format("{}{}.{:06}", negative ? "-" : "", size / kMicros, size % kMicros);
  while (text.ends_with('0') && text[text.size() - 3] != '.') text.pop_back();
  return text + " " + currency;
}

}  // namespace stoa::cluster

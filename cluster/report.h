#pragma once
/// What a run did, what it cost, and how to do it again: one document, built by a pure function, drawn by many
/// renderers. A figure becomes text once, in `sections`; renderers place it and never compute, so that all of them show
/// the same numbers.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "stoa/cluster/chart.h"
#include "stoa/cluster/machine.h"
#include "stoa/cluster/price.h"
#include "stoa/cluster/run_metrics.h"
#include "stoa/cluster/run_record.h"

namespace stoa::cluster {

struct ReportFact {
  std::string label;
  std::string value;
  std::string note = {};  ///< the arithmetic or the source; may be empty
};

struct ReportSection {
  std::string title;
  std::vector<ReportFact> facts;
};

/// What the launcher knows from the experiment.
struct ReportFacts {
  std::string name;
  std::string model;  ///< "Llama family, 6 layers, width 256, ..."
  std::int64_t parameters = 0;
  std::vector<std::string> data_sources;  ///< one line each: what, from where, licence
  MachineSettings machine;
  std::vector<ReportFact> reproduction;  ///< seed, versions, command
};

struct ReportAttempt {
  std::string attempt;
  double started = 0;
  std::optional<double> duration_s;  ///< nothing while it runs
  std::int64_t ranks = 0;
  std::int64_t resources = 0;
  std::string host;
  std::string outcome;                    ///< "running" while it runs
  std::optional<std::int64_t> from_step;  ///< nothing where it never came to train
  std::int64_t to_step = 0;
  std::optional<Price> price;
  std::string message;
};

struct RunReport {
  std::string name;
  RunPhase phase = RunPhase::kAbsent;
  std::string resource;  ///< "core" or "accelerator"
  std::vector<ReportAttempt> attempts;
  Price total;  ///< of all attempts that ended
  RunMetrics metrics;
  std::vector<ReportSection> sections;  ///< "Summary" first
};

/// Everything that ended is priced by `price`. Throws what `price` throws.
RunReport build_report(const RunState& state, const RunMetrics& metrics, const ReportFacts& facts);

/// Series for charts, over steps or (throughput) over minutes spent in steps.
std::vector<ChartPoint> loss_series(const RunMetrics& metrics);
std::vector<ChartPoint> held_out_series(const RunMetrics& metrics);
std::vector<ChartPoint> throughput_series(const RunMetrics& metrics);
std::vector<ChartPoint> learning_rate_series(const RunMetrics& metrics);

/// "0.001028 EUR": exact, at least two decimals.
std::string format_money(std::int64_t money_micros, const std::string& currency);

/// One self-contained file: no script, no network, light and dark, charts as SVG.
std::string render_html(const RunReport& report);

enum class Charset { kAscii, kUtf8 };
struct TerminalForm {
  int columns = 80;
  Charset charset = Charset::kUtf8;
};
/// The loss curve and the sections; no line is wider than `columns` (at least 40). Control characters never pass.
std::string render_terminal(const RunReport& report, const TerminalForm& form);
/// The curve alone, for the end of a run.
std::string render_loss_curve(const RunReport& report, const TerminalForm& form);

/// Format version 1: keys may be added within a version.
std::string render_json(const RunReport& report);
/// One line an attempt and one "total" (RFC 4180).
std::string render_csv(const RunReport& report);

}  // namespace stoa::cluster

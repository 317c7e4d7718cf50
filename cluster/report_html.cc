#include <fmt/format.h>
#include <fmt/ranges.h>

#include <iterator>
#include <map>

#include "stoa/base/clock.h"
#include "stoa/base/units.h"
#include "stoa/cluster/report.h"
#include "stoa/cluster/report_svg.h"

namespace stoa::cluster {
namespace {

constexpr std::string_view kStyle =
#include "stoa/cluster/report_style.inc"
    ;

std::string header(const RunReport& report) {
  const std::string when = report.attempts.empty() ? "" : ", begun " + format_utc(report.attempts.front().started);
  return fmt::format("<header><p class=\"eyebrow\">Stoa run report</p><h1>{}</h1><p>{}{}</p></header>\n",
                     html_escape(report.name), phase_name(report.phase), when);
}

std::string cards(const ReportSection& section) {
  std::string html = "<dl class=\"cards\">";
  for (const ReportFact& fact : section.facts)
    fmt::format_to(std::back_inserter(html),
                   "<div><dt>{}</dt><dd class=\"value\">{}</dd><dd class=\"note\">{}</dd></div>",
                   html_escape(fact.label), html_escape(fact.value), html_escape(fact.note));
  return html + "</dl>\n";
}

std::string fact_row(const ReportFact& fact) {
  const bool is_command = fact.label == "Command";
  const std::string value = html_escape(fact.value);
  return fmt::format("<tr{}><th scope=\"row\">{}</th><td>{}</td>{}</tr>\n",
                     fact.label == "Total" ? " class=\"total\"" : "", html_escape(fact.label),
                     is_command ? "<pre>" + value + "</pre>" : value,
                     fact.note.empty() ? "" : "<td>" + html_escape(fact.note) + "</td>");
}

std::string fact_table(const ReportSection& section) {
  std::string html = fmt::format("<section><h2>{}</h2><table class=\"facts\"><tbody>\n", html_escape(section.title));
  for (const ReportFact& fact : section.facts) {
    std::string row = fact_row(fact);
    // A lone value takes both columns.
    if (fact.note.empty()) row.replace(row.find("<td>"), 4, "<td colspan=\"2\">");
    html += row;
  }
  return html + "</tbody></table></section>\n";
}

std::string attempt_row(const ReportAttempt& attempt) {
  const std::string row = fmt::format(
      "<tr{}><th scope=\"row\">{}</th><td class=\"{}\">{}</td><td class=\"number\">{} → {}</td><td "
      "class=\"number\">{}</td>"
      "<td class=\"number\">{}</td><td class=\"nowrap\">{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td>"
      "<td>{}</td></tr>\n",
      attempt.message.empty() ? "" : " class=\"spoken\"", html_escape(attempt.attempt), html_escape(attempt.outcome),
      html_escape(attempt.outcome), attempt.from_step ? format_grouped(*attempt.from_step) : "–",
      format_grouped(attempt.to_step), attempt.duration_s ? format_duration(*attempt.duration_s) : "–",
      attempt.price ? html_escape(format_money(attempt.price->money_micros, attempt.price->currency)) : "–",
      format_utc(attempt.started), attempt.ranks, attempt.resources, html_escape(attempt.host));
  if (attempt.message.empty()) return row;
  return row +
         fmt::format("<tr><td></td><td class=\"message\" colspan=\"8\">{}</td></tr>\n", html_escape(attempt.message));
}

std::string attempt_table(const RunReport& report) {
  std::string html = fmt::format(
      "<section><h2 id=\"attempts\">Attempts</h2><div class=\"scroll\" role=\"region\" aria-labelledby=\"attempts\" "
      "tabindex=\"0\"><table><thead><tr><th scope=\"col\">#</th><th scope=\"col\">Outcome</th>"
      "<th scope=\"col\" class=\"number\">Steps</th><th scope=\"col\" class=\"number\">Time</th>"
      "<th scope=\"col\" class=\"number\">Price</th><th scope=\"col\">Started</th>"
      "<th scope=\"col\" class=\"number\">Ranks</th><th scope=\"col\" class=\"number\">{}</th>"
      "<th scope=\"col\">Host</th></tr></thead><tbody>\n",
      report.resource == "core" ? "Cores" : "Accelerators");
  for (const ReportAttempt& attempt : report.attempts) html += attempt_row(attempt);
  return html + "</tbody></table></div></section>\n";
}

/// One mark a step, however many attempts resumed there.
std::vector<ChartMark> resumes(const RunReport& report) {
  std::map<std::int64_t, std::vector<std::string>> attempts;
  for (const StartMetrics& start : report.metrics.starts)
    if (start.step > 0) attempts[start.step].push_back(start.attempt);
  std::vector<ChartMark> marks;
  for (const auto& [step, names] : attempts)
    marks.push_back(
        {static_cast<double>(step), fmt::format("attempt{} {}", names.size() == 1 ? "" : "s", fmt::join(names, ", "))});
  return marks;
}

std::string figure(const Chart& chart, const std::string& caption) {
  if (decimate(chart.line, 2).empty() && decimate(chart.dots, 2).empty()) return "";
  return fmt::format("<figure><h2>{}</h2><figcaption>{}</figcaption>\n{}</figure>\n", html_escape(chart.title), caption,
                     render_svg(chart));
}

std::string ends_of(const std::vector<ChartPoint>& line, std::string_view what, std::string_view unit) {
  if (line.empty()) return "No points.";
  return fmt::format("{} goes from {:.4g} to {:.4g} {} over {} points.", what, line.front().y, line.back().y, unit,
                     line.size());
}

std::string loss_figure(const RunReport& report) {
  Chart chart{.id = "loss",
              .title = "Loss",
              .description = "",
              .x_title = "step",
              .y_title = "nats per token",
              .line = loss_series(report.metrics),
              .dots = held_out_series(report.metrics),
              .marks = resumes(report)};
  chart.description = ends_of(chart.line, "Training loss", "nats per token") +
                      (chart.dots.empty() ? "" : " " + ends_of(chart.dots, "Held-out loss", "nats per token"));
  std::string caption = "<span class=\"keys\"><span><i class=\"key\"></i>training</span>";
  if (!chart.dots.empty()) caption += "<span><i class=\"key dot\"></i>held-out text</span>";
  if (!chart.marks.empty()) caption += "<span><i class=\"key dash\"></i>resumed from a checkpoint</span>";
  return figure(chart, caption + "</span>");
}

std::string throughput_figure(const RunReport& report) {
  Chart chart{.id = "throughput",
              .title = "Throughput",
              .description = "",
              .x_title = "minutes in steps",
              .y_title = "tokens/s",
              .height = 180,
              .from_zero = true,
              .line = throughput_series(report.metrics),
              .dots = {},
              .marks = {}};
  chart.description = ends_of(chart.line, "Throughput", "tokens per second");
  return figure(chart, "Tokens per second of each step.");
}

std::string learning_rate_figure(const RunReport& report) {
  Chart chart{.id = "rate",
              .title = "Learning rate",
              .description = "",
              .x_title = "step",
              .y_title = "learning rate",
              .height = 110,
              .from_zero = true,
              .line = learning_rate_series(report.metrics),
              .dots = {},
              .marks = {}};
  chart.description = ends_of(chart.line, "The learning rate", "");
  return figure(chart, "As the schedule set it.");
}

}  // namespace

std::string render_html(const RunReport& report) {
  std::string html = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{} – Stoa run report</title>\n"
      "<style>{}</style></head>\n<body>\n",
      html_escape(report.name), kStyle);
  html += header(report) + "<main>\n" + cards(report.sections.front());
  html += loss_figure(report) + throughput_figure(report) + learning_rate_figure(report);
  html += attempt_table(report);
  for (auto section = report.sections.begin() + 1; section != report.sections.end(); ++section)
    html += fact_table(*section);
  return html +
         "</main>\n<footer>Made by Stoa from the run's own event log and metrics. Prices are integers rounded once per "
         "attempt; energy figures carry their source.</footer>\n</body></html>\n";
}

}  // namespace stoa::cluster

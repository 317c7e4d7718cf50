#include "stoa/cluster/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

#include "stoa/base/durable_file.h"
#include "stoa/base/json.h"
#include "stoa/cluster/report_svg.h"
#include "stoa/tests/unit/cluster/report_fixture.h"

namespace stoa::cluster {
namespace {

using testing::HasSubstr;
using testing::Not;

/// With STOA_UPDATE_GOLDEN=1 in the environment the file is written anew, to be looked at and committed.
void expect_golden(const std::string& name, const std::string& text) {
  const std::filesystem::path path = std::filesystem::path(STOA_GOLDEN_DIRECTORY) / name;
  if (std::getenv("STOA_UPDATE_GOLDEN") != nullptr) write_file_durably(path, text);
  EXPECT_TRUE(text == read_text_file(path)) << name << " differs:\n" << text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

std::size_t characters(const std::string& line) {
  std::size_t count = 0;
  for (const char c : line) count += (c & 0xC0) != 0x80 ? 1 : 0;
  return count;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(Report, PricesEachAttemptAndTheirSum) {
  const RunReport report = fixture_report();
  ASSERT_EQ(report.attempts.size(), 3u);
  // 2 cores x (90 + 45 + 90.005) s = 450.01 core-seconds; x 0.01 EUR / 3600 s, each rounded: 500 + 250 + 500
  // millionths.
  EXPECT_EQ(report.total.resource_millis, 450'010);
  EXPECT_EQ(report.total.money_micros, 1'250);
  // 3 x 3600 J = 0.003 kWh; x 1.2 x 250 g = 0.9 g.
  EXPECT_DOUBLE_EQ(report.total.energy_kwh, 0.003);
  EXPECT_DOUBLE_EQ(report.total.co2e_g, 0.9);
  EXPECT_EQ(report.attempts[1].outcome, "lost");
  EXPECT_EQ(report.attempts[2].from_step, 16);
}

TEST(Report, MoneyIsExact) {
  EXPECT_EQ(format_money(1'250, "EUR"), "0.00125 EUR");
  EXPECT_EQ(format_money(0, "EUR"), "0.00 EUR");
  EXPECT_EQ(format_money(12'345'678'900'000, "EUR"), "12345678.90 EUR");
  EXPECT_EQ(format_money(-33, "EUR"), "-0.000033 EUR");
  EXPECT_EQ(format_money(std::numeric_limits<std::int64_t>::min(), "EUR"), "-9223372036854.775808 EUR");
}

TEST(Report, AllRenderersShowTheSameFigures) {
  const RunReport report = fixture_report();
  const std::string html = render_html(report);
  const std::string terminal = render_terminal(report, {.columns = 400, .charset = Charset::kUtf8});
  const Json json = parse_json(render_json(report), "report.json");
  std::size_t facts = 0;
  for (std::size_t section = 0; section < report.sections.size(); ++section) {
    for (std::size_t i = 0; i < report.sections[section].facts.size(); ++i, ++facts) {
      const ReportFact& fact = report.sections[section].facts[i];
      EXPECT_THAT(html, HasSubstr(html_escape(fact.label)));
      EXPECT_THAT(html, HasSubstr(html_escape(fact.value)));
      EXPECT_THAT(html, HasSubstr(html_escape(fact.note)));
      EXPECT_THAT(terminal, HasSubstr(fact.value));
      EXPECT_THAT(terminal, HasSubstr(fact.note));
      const Json& in_json = json["sections"][section]["facts"][i];
      EXPECT_EQ(in_json["value"], fact.value);
      EXPECT_EQ(in_json["note"], fact.note);
    }
  }
  EXPECT_GT(facts, 30u);
  EXPECT_EQ(json["price"]["money_micros"], 1250);
  EXPECT_THAT(render_csv(report), HasSubstr("total,,,,finished,450010,1250,EUR,0.003,modelled\r\n"));
}

TEST(Report, ARunThatHasNotTrainedStillHasAReport) {
  RunState state;
  apply(state, RunCreated{"r", 1}, "p");
  apply(state, AttemptStarted{.attempt = "1", .time = 2, .ranks = 1, .resources = 1, .host = "h", .pid = 1}, "p");
  const RunReport report = build_report(state, {}, fixture_facts());
  EXPECT_EQ(report.total.money_micros, 0);
  EXPECT_FALSE(report.attempts.at(0).price.has_value());
  EXPECT_EQ(render_loss_curve(report, {}), "");
  EXPECT_THAT(render_html(report), Not(HasSubstr("<svg")));
  EXPECT_THAT(render_html(report), HasSubstr("running"));
  EXPECT_THAT(render_terminal(report, {}), HasSubstr("0.00 EUR"));
}

/// `"key":number` of the line becomes `"key":null`: how the trainer writes what is not finite.
std::string with_null(std::string line, const std::string& key) {
  const std::size_t at = line.find("\"" + key + "\":") + key.size() + 3;
  return line.replace(at, line.find(',', at) - at, "null");
}

TEST(Report, ASkippedStepWithoutANumberIsCountedAndNotDrawn) {
  std::string text = fixture_start(0, 1, 1);
  for (const int step : {1, 2, 3, 4, 5}) {
    std::string line = fixture_step(step, 5, 1, step);
    if (step % 2 == 0) {
      line = with_null(with_null(line, "loss"), "gradient_norm");
      line.replace(line.find("\"skipped\":\"\""), 12, "\"skipped\":\"nan\"");
    }
    text += line;
  }
  RunState state;
  apply(state, RunCreated{"r", 1}, "p");
  const RunReport report = build_report(state, parse_metrics(text, "metrics.jsonl"), fixture_facts());
  EXPECT_THAT(render_terminal(report, {}), HasSubstr("5 of 5  (2 skipped)"));
  EXPECT_THAT(render_loss_curve(report, {}), Not(HasSubstr("nan")));
  EXPECT_THAT(render_html(report), Not(HasSubstr("nan,")));
  EXPECT_NO_THROW(parse_json(render_json(report), "report.json"));
}

TEST(Report, OneEvaluationIsAFigureAndNoChange) {
  RunState state;
  apply(state, RunCreated{"r", 1}, "p");
  const RunReport report =
      build_report(state, parse_metrics(fixture_evaluation(0, 3.5), "metrics.jsonl"), fixture_facts());
  const std::string terminal = render_terminal(report, {});
  EXPECT_THAT(terminal, HasSubstr("3.500  (at step 0)"));
  EXPECT_THAT(terminal, HasSubstr("350  (per token, step 0)"));
}

TEST(ReportHtml, IsAsInTheGoldenFile) { expect_golden("report.html", render_html(fixture_report())); }

TEST(ReportHtml, FetchesNothing) {
  const std::string html = render_html(fixture_report(600));
  for (const char* fetching :
       {"http:", "https:", "src=", "href", "url(", "@import", "<script", "<link", "<iframe", "<img"})
    EXPECT_THAT(html, Not(HasSubstr(fetching))) << fetching;
}

TEST(ReportHtml, TextFromOutsideIsEscapedWhereverItStands) {
  const std::string bad = "<script>alert(\"1\" & '2')</script>\x1b[31m";
  ReportFacts facts = fixture_facts();
  facts.name = facts.model = facts.machine.name = facts.machine.description = bad;
  facts.machine.rate.source = facts.machine.rate.currency = facts.machine.rate.resource = bad;
  facts.machine.power.pue.source = facts.machine.grid_g_per_kwh.source = bad;
  facts.data_sources = {bad};
  facts.reproduction = {{bad, bad, bad}, {"Command", bad}};
  RunState state = fixture_state(33);
  for (Attempt& attempt : state.attempts) {
    attempt.started.attempt = attempt.started.host = bad + attempt.started.attempt;
    attempt.ended->message = attempt.ended->energy_source = bad;
  }
  RunMetrics metrics = parse_metrics(fixture_metrics_text(33), "m");
  for (StartMetrics& start : metrics.starts) start.attempt = start.isa = bad;
  const std::string html = render_html(build_report(state, metrics, facts));
  EXPECT_EQ(count_of(html, "<script"), 0u);
  EXPECT_EQ(count_of(html, "alert(\""), 0u);
  EXPECT_EQ(count_of(html, "\x1b"), 0u);
  EXPECT_GT(count_of(html, "&lt;script&gt;alert(&quot;1&quot; &amp; &#39;2&#39;)&lt;/script&gt;"), 20u);
}

TEST(ReportHtml, ChartsHaveATitleAndADescription) {
  const std::string html = render_html(fixture_report());
  EXPECT_EQ(count_of(html, "role=\"img\""), 3u);
  EXPECT_EQ(count_of(html, "<title id="), 3u);
  EXPECT_EQ(count_of(html, "<desc id="), 3u);
  EXPECT_THAT(html, HasSubstr("attempts 2, 3"));
}

TEST(ReportHtml, AMillionStepsStayASmallFile) {
  RunReport report = fixture_report();
  report.metrics.steps.clear();
  for (std::int64_t step = 1; step <= 1'000'001; ++step) {
    StepMetrics metrics;
    metrics.step = step;
    metrics.loss = 2 + static_cast<double>(step % 257) / 257;
    metrics.step_s = 1;
    metrics.tokens_per_s = 1000;
    report.metrics.steps.push_back(metrics);
  }
  EXPECT_LT(render_html(report).size(), 150'000u);
}

TEST(ReportTerminal, IsAsInTheGoldenFiles) {
  expect_golden("report.txt", render_terminal(fixture_report(), {.columns = 80, .charset = Charset::kUtf8}));
  expect_golden("report_ascii.txt", render_terminal(fixture_report(), {.columns = 65, .charset = Charset::kAscii}));
}

TEST(ReportTerminal, NoLineIsWiderThanTheTerminal) {
  for (const int columns : {40, 65, 80, 257}) {
    for (const Charset charset : {Charset::kAscii, Charset::kUtf8}) {
      for (const std::string& line : lines_of(render_terminal(fixture_report(600), {columns, charset}))) {
        ASSERT_LE(characters(line), static_cast<std::size_t>(columns)) << line;
      }
    }
  }
}

TEST(ReportTerminal, PlainTerminalsGetOnlyAscii) {
  ReportFacts facts = fixture_facts();
  facts.name = "modèle";
  const RunReport report = build_report(fixture_state(33), parse_metrics(fixture_metrics_text(33), "m"), facts);
  const std::string text = render_terminal(report, {.columns = 80, .charset = Charset::kAscii});
  for (const char c : text) ASSERT_GE(c, 0);
  EXPECT_THAT(text, HasSubstr("mod?le"));
  EXPECT_THAT(text, HasSubstr("3.500 -> 1.500"));
}

TEST(ReportTerminal, EscapeSequencesInNamesDoNotReachTheTerminal) {
  ReportFacts facts = fixture_facts();
  facts.name =
      "evil\x1b]0;title\x07 \xC2\x9B"
      "31m";
  const RunReport report = build_report(fixture_state(33), parse_metrics(fixture_metrics_text(33), "m"), facts);
  for (const Charset charset : {Charset::kAscii, Charset::kUtf8}) {
    const std::string text = render_terminal(report, {.columns = 80, .charset = charset});
    EXPECT_THAT(text, HasSubstr("evil?]0;title? ?31m"));
    EXPECT_EQ(text.find('\x1b'), std::string::npos);
    EXPECT_EQ(text.find("\xC2\x9B"), std::string::npos);
  }
}

TEST(ReportTerminal, TheCurveFallsFromTheLeftTopToTheRightBottom) {
  const auto lines = lines_of(render_loss_curve(fixture_report(600), {.columns = 80, .charset = Charset::kAscii}));
  ASSERT_EQ(lines.size(), 14u);
  std::size_t first_row = 0, last_row = 0;
  for (std::size_t row = 1; row <= 12; ++row) {
    if (lines[row].size() > 9 && lines[row][9] == '*' && first_row == 0) first_row = row;
    if (lines[row].size() == 80) last_row = row;
  }
  EXPECT_GT(first_row, 0u);
  EXPECT_GT(last_row, first_row + 5);
}

TEST(ReportCsv, FieldsWithCommasAndQuotesAreQuoted) {
  ReportFacts facts = fixture_facts();
  facts.name = "a,\"b\"";
  const std::string csv = render_csv(build_report(fixture_state(33), {}, facts));
  EXPECT_EQ(count_of(csv, "\"a,\"\"b\"\"\","), 4u);
  EXPECT_EQ(count_of(csv, "\r\n"), 5u);
}

}  // namespace
}  // namespace stoa::cluster

#include <fmt/format.h>

#include "stoa/base/clock.h"
#include "stoa/base/json.h"
#include "stoa/cluster/report.h"

namespace stoa::cluster {
namespace {

constexpr int kReportVersion = 1;

Json price_json(const Price& price) {
  return {
      {"resource_millis", price.resource_millis}, {"money_micros", price.money_micros}, {"currency", price.currency},
      {"energy_kwh", price.energy_kwh},           {"facility_kwh", price.facility_kwh}, {"co2e_g", price.co2e_g},
      {"energy_source", price.energy_source}};
}

Json attempt_json(const ReportAttempt& attempt) {
  Json json{{"attempt", attempt.attempt}, {"started", attempt.started},     {"duration_s", nullptr},
            {"ranks", attempt.ranks},     {"resources", attempt.resources}, {"host", attempt.host},
            {"outcome", attempt.outcome}, {"from_step", nullptr},           {"to_step", attempt.to_step},
            {"price", nullptr},           {"message", attempt.message}};
  if (attempt.duration_s) json["duration_s"] = *attempt.duration_s;
  if (attempt.from_step) json["from_step"] = *attempt.from_step;
  if (attempt.price) json["price"] = price_json(*attempt.price);
  return json;
}

Json section_json(const ReportSection& section) {
  Json facts = Json::array();
  for (const ReportFact& fact : section.facts)
    facts.push_back({{"label", fact.label}, {"value", fact.value}, {"note", fact.note}});
  return {{"title", section.title}, {"facts", facts}};
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + '"';
}

std::string csv_price(const Price& price) {
  return fmt::format("{},{},{},{},{}", price.resource_millis, price.money_micros, csv_field(price.currency),
                     price.energy_kwh, csv_field(price.energy_source));
}

}  // namespace

std::string render_json(const RunReport& report) {
  Json json{{"version", kReportVersion},         {"run", report.name},
            {"phase", phase_name(report.phase)}, {"resource", report.resource},
            {"price", price_json(report.total)}, {"attempts", Json::array()},
            {"evaluations", Json::array()},      {"sections", Json::array()}};
  for (const ReportAttempt& attempt : report.attempts) json["attempts"].push_back(attempt_json(attempt));
  for (const EvaluationMetrics& each : report.metrics.evaluations)
    json["evaluations"].push_back({{"step", each.step},
                                   {"loss", each.loss},
                                   {"perplexity", each.perplexity},
                                   {"bits_per_byte", each.bits_per_byte}});
  for (const ReportSection& section : report.sections) json["sections"].push_back(section_json(section));
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + '\n';
}

std::string render_csv(const RunReport& report) {
  std::string csv =
      "run,attempt,started,duration_s,resources,outcome,resource_millis,money_micros,currency,energy_kwh,energy_"
      "source\r\n";
  for (const ReportAttempt& attempt : report.attempts)
    csv +=
        fmt::format("{},{},{},{},{},{},{}\r\n", csv_field(report.name), csv_field(attempt.attempt),
                    format_utc(attempt.started), attempt.duration_s ? fmt::format("{:.3f}", *attempt.duration_s) : "",
                    attempt.resources, attempt.outcome, attempt.price ? csv_price(*attempt.price) : ",,,,");
  return csv + fmt::format("{},total,,,,{},{}\r\n", csv_field(report.name), phase_name(report.phase),
                           csv_price(report.total));
}

}  // namespace stoa::cluster

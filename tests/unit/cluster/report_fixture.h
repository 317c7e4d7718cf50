#pragma once
/// A made-up run of three attempts (saved, lost, finished) whose figures are easy to check by hand. Arithmetic only of
/// + - * /, so that its bits are the same everywhere.
#include <fmt/format.h>

#include <string>

#include "stoa/cluster/report.h"

namespace stoa::cluster {

inline MachineSettings fixture_machine() {
  MachineSettings machine;
  machine.name = "local";
  machine.description = "2 cores of a shared server";
  machine.node.processors = 2;
  machine.rate = {"core", 0.01, "EUR", "list price of 2025"};
  machine.power = {.idle_w = {20, "data sheet"}, .busy_w = {60, "wall meter"}, .pue = {1.2, "operator's report 2024"}};
  machine.grid_g_per_kwh = {250, "national average 2024"};
  return machine;
}

inline ReportFacts fixture_facts() {
  return {.name = "quickstart <& more>",
          .model = "Llama family: 4 layers, width 256, 8 heads (4 key-value), feed-forward 704",
          .parameters = 5'123'456,
          .data_sources = {"King James Bible (Debian bible-kjv-text), public domain",
                           "WordNet 3.0 (Debian dict-wn), WordNet licence"},
          .machine = fixture_machine(),
          .reproduction = {{"Seed", "1234"},
                           {"Version", "stoa 0.1.0, g++ 12.2.0"},
                           {"Command", "stoa run configs/quickstart.yaml training.steps=100"}}};
}

inline std::string fixture_step(int step, int steps, int attempt, double time) {
  const double loss = 3 + 6.0 / (1 + 12.0 * step / steps) + 0.05 * (step * 7919 % 13 - 6) / 6;
  const double warmup = steps / 10.0;
  const double rate = step < warmup ? step / warmup * 3e-4 : 3e-4 - 2.7e-4 * (step - warmup) / (steps - warmup);
  return fmt::format(
      "{{\"kind\":\"step\",\"step\":{},\"steps\":{},\"loss\":{},\"gradient_norm\":1.5,\"parameter_norm\":80.5,"
      "\"learning_rate\":{},\"consumed_tokens\":{},\"step_s\":0.25,\"tokens_per_s\":{},\"model_flops_utilisation\":0.4,"
      "\"peak_gflops\":505,\"resident_bytes\":1000000,\"energy_j\":{},\"energy_source\":\"modelled\",\"skipped\":\"\","
      "\"attempt\":\"{}\",\"time\":{}}}\n",
      step, steps, loss, rate, step * 8192, step % 50 == 33 ? 21000 : 32768 + 40 * (step * 31 % 17), step * 15, attempt,
      time);
}

inline std::string fixture_start(int step, int attempt, double time) {
  return fmt::format(
      "{{\"kind\":\"start\",\"step\":{},\"attempt\":\"{}\",\"ranks\":2,\"threads_per_rank\":1,\"isa\":\"avx512_bf16\","
      "\"parameters\":5123456,\"time\":{},\"host\":\"node1\"}}\n",
      step, attempt, time);
}

inline std::string fixture_evaluation(int step, double bits_per_byte) {
  return fmt::format(
      "{{\"kind\":\"evaluation\",\"step\":{},\"loss\":{},\"perplexity\":{},\"bits_per_byte\":{},\"tokens\":65,"
      "\"bytes\":257,"
      "\"attempt\":\"1\",\"time\":1764000001}}\n",
      step, bits_per_byte * 2.5, bits_per_byte * 100, bits_per_byte);
}

inline std::string fixture_checkpoint(int step) {
  return fmt::format(
      "{{\"kind\":\"checkpoint\",\"step\":{},\"bytes\":61481472,\"seconds\":0.5,\"attempt\":\"1\",\"time\":1764000001}}"
      "\n",
      step);
}

/// Attempt 1 saves at half the steps, attempt 2 is lost at three quarters, attempt 3 resumes at half again and
/// finishes.
inline std::string fixture_metrics_text(int steps) {
  const double begin = 1764000000;
  const int half = steps / 2;
  std::string text = fixture_start(0, 1, begin) + fixture_evaluation(0, 3.5);
  for (int step = 1; step <= half; ++step) text += fixture_step(step, steps, 1, begin + 0.25 * step);
  text += fixture_evaluation(half, 1.75) + fixture_checkpoint(half) + fixture_start(half, 2, begin + 1000);
  for (int step = half + 1; step <= steps * 3 / 4; ++step)
    text += fixture_step(step, steps, 2, begin + 1000 + 0.25 * step);
  text += fixture_start(half, 3, begin + 2000);
  for (int step = half + 1; step <= steps; ++step) text += fixture_step(step, steps, 3, begin + 2000 + 0.25 * step);
  return text + fixture_evaluation(steps, 1.5) + fixture_checkpoint(steps);
}

inline RunState fixture_state(int steps) {
  const double begin = 1764000000;
  const auto started = [](const char* attempt, double time) {
    return AttemptStarted{.attempt = attempt, .time = time, .ranks = 2, .resources = 2, .host = "node1", .pid = 4711};
  };
  const auto ended = [](const char* attempt, double time, AttemptOutcome outcome, int step, const char* message) {
    return AttemptEnded{.attempt = attempt,
                        .time = time,
                        .outcome = outcome,
                        .step = step,
                        .energy_j = 3600,
                        .energy_source = "modelled",
                        .message = message};
  };
  RunState state;
  for (const RunEvent& event : std::initializer_list<RunEvent>{
           RunCreated{"quickstart", begin}, started("1", begin),
           ended("1", begin + 90, AttemptOutcome::kSaved, steps / 2, ""), started("2", begin + 1000),
           ended("2", begin + 1045, AttemptOutcome::kLost, steps * 3 / 4, "no outcome was reported"),
           started("3", begin + 2000), ended("3", begin + 2090.005, AttemptOutcome::kFinished, steps, "")})
    apply(state, event, "fixture");
  return state;
}

inline RunReport fixture_report(int steps = 33) {
  return build_report(fixture_state(steps), parse_metrics(fixture_metrics_text(steps), "fixture"), fixture_facts());
}

}  // namespace stoa::cluster

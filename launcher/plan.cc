#include "stoa/launcher/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "stoa/base/error.h"
#include "stoa/base/units.h"

namespace stoa::launcher {
namespace {

constexpr double kCheckpointBytesPerParameter = 12;

std::string row(std::string_view label, std::string_view value, std::string_view note = "") {
  return note.empty() ? fmt::format("{:<14}{}\n", label, value) : fmt::format("{:<14}{:<28} {}\n", label, value, note);
}

/// Three digits, with k, M, ... where it is large.
std::string three_digits(double value) { return value < 999.5 ? fmt::format("{:.3g}", value) : format_count(value); }

/// "a core", "an accelerator".
std::string one(std::string_view resource) {
  return fmt::format("{} {}", resource == "accelerator" ? "an" : "a", resource);
}

cluster::Price price_of(const Plan& plan, const cluster::MachineSettings& machine) {
  const double per_node = plan.resource == "core" ? machine.node.processors : machine.node.accelerators;
  const double watts = machine.power.busy_w.value * static_cast<double>(plan.resources) / per_node;
  const double end_ms = *plan.seconds * 1e3;
  if (!(end_ms < 1e18))
    throw ConfigError("this plan takes {:.3g} years, which no machine will last", *plan.seconds / 3.156e7);
  return price(cluster::UsageRecord{.run = "plan",
                                    .attempt = "1",
                                    .begin_unix_ms = 0,
                                    .end_unix_ms = std::llround(end_ms),
                                    .resources = plan.resources,
                                    .energy_j = watts * *plan.seconds,
                                    .energy_source = "modelled"},
               machine);
}

}  // namespace

Plan plan(const Experiment& e, const cluster::MachineSettings& machine, const PlanAssumptions& assumptions) {
  Plan result;
  result.parameters = parameter_count(e.model);
  result.tokens = static_cast<double>(e.training.steps) * static_cast<double>(e.training.global_batch) *
                  static_cast<double>(e.model.context_length);
  result.flops = result.tokens * training_flops_per_token(e.model);
  result.resource = machine.rate.resource;
  const std::int64_t ranks = e.parallel.mesh.ranks();
  const int threads = e.parallel.threads_per_rank > 0
                          ? e.parallel.threads_per_rank
                          : std::max(1, machine.node.processors /
                                            static_cast<int>(std::min<std::int64_t>(ranks, machine.node.processors)));
  result.resources = result.resource == "core" ? ranks * threads : ranks;
  result.checkpoint_bytes = kCheckpointBytesPerParameter * static_cast<double>(result.parameters);
  result.kept_bytes = result.checkpoint_bytes * static_cast<double>(e.checkpoint.keep_last + 1);
  const cluster::Sourced& peak =
      e.training.precision == trainer::Precision::kBf16 ? machine.peak_bf16_gflops : machine.peak_fp32_gflops;
  result.peak_gflops = assumptions.peak_gflops > 0 ? assumptions.peak_gflops : peak.value;
  result.peak_source = assumptions.peak_gflops > 0 ? "given with --peak-gflops" : peak.source;
  if (result.peak_gflops > 0) {
    result.seconds =
        result.flops / (assumptions.utilisation * result.peak_gflops * 1e9 * static_cast<double>(result.resources));
    result.price = price_of(result, machine);
  }
  return result;
}

std::string plan_text(const Plan& p, const cluster::MachineSettings& machine, const PlanAssumptions& assumptions) {
  std::string text;
  text += row("Machine", machine.name, machine.description);
  text += row("Parameters", format_grouped(p.parameters));
  text += row("Tokens", format_count(p.tokens));
  text += row("Model FLOPs", fmt::format("{:.3g}", p.flops), fmt::format("{:.4g} a token", p.flops / p.tokens));
  text += row("Checkpoint", format_bytes(p.checkpoint_bytes),
              fmt::format("{} with those kept and the one being written", format_bytes(p.kept_bytes)));
  text += row("Resources", fmt::format("{} {}{}", p.resources, p.resource, p.resources == 1 ? "" : "s"));
  if (!p.seconds)
    return text + row("Time, price", "unknown",
                      fmt::format("the peak of {} is {}; give it with --peak-gflops", one(p.resource), p.peak_source));
  text += row("Peak", fmt::format("{:.4g} TFLOP/s {}", p.peak_gflops / 1e3, one(p.resource)), p.peak_source);
  text += row("Utilisation", fmt::format("{:.0f} %", 100 * assumptions.utilisation),
              "assumed; give another with --utilisation");
  text += row("Time", format_duration(*p.seconds));
  text += row(p.resource == "core" ? "Core-hours" : "GPU-hours", three_digits(p.price->resource_hours()));
  text += row("Price", fmt::format("{:.2f} {}", p.price->money(), p.price->currency),
              fmt::format("{} {} an hour: {}", machine.rate.price, machine.rate.currency, machine.rate.source));
  text += row("Energy", fmt::format("{} kWh", three_digits(p.price->energy_kwh)),
              fmt::format("modelled; {} kWh with PUE {}: {}", three_digits(p.price->facility_kwh),
                          machine.power.pue.value, machine.power.pue.source));
  text += row("CO2e", fmt::format("{} kg", three_digits(p.price->co2e_g / 1e3)),
              fmt::format("{} g/kWh: {}", machine.grid_g_per_kwh.value, machine.grid_g_per_kwh.source));
  return text;
}

}  // namespace stoa::launcher

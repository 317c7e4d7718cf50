#include "stoa/launcher/plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "stoa/base/error.h"
#include "stoa/base/units.h"
#include "stoa/checkpoint/retention.h"
#include "stoa/cluster/report.h"
#include "stoa/launcher/runtime_memory.h"
#include "stoa/trainer/loop/rank_memory.h"

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

/// Whole cents, and of what is less than one unit all that counts.
std::string money(const cluster::Price& price) {
  return price.money() < 1 ? cluster::format_money(price.money_micros, price.currency)
                           : fmt::format("{:.2f} {}", price.money(), price.currency);
}

constexpr double kGib = 1024.0 * 1024 * 1024;

double node_bytes(const Plan& plan) { return plan.rank_bytes * static_cast<double>(plan.placement.ranks_per_node); }

std::string ranks_of_a_node(const Plan& plan) {
  const std::int64_t ranks = plan.placement.ranks_per_node;
  return fmt::format("{} rank{}", ranks, ranks == 1 ? "" : "s");
}

/// "data 1.2 GiB, pipeline 3 MiB": the axes that have any.
std::string traffic_note(const Plan& plan) {
  std::string note;
  const auto add = [&](std::string_view axis, double bytes) {
    if (bytes > 0) note += fmt::format("{}{} {}", note.empty() ? "" : ", ", axis, format_bytes(bytes));
  };
  add("data", plan.traffic.data);
  add("tensor", plan.traffic.tensor);
  add("pipeline", plan.traffic.pipeline);
  return "sent: " + note;
}

/// Empty where the ranks of a node find room on it.
std::string memory_warning(const Plan& plan, const cluster::MachineSettings& machine) {
  if (node_bytes(plan) <= machine.node.memory_gib * kGib) return "";
  return fmt::format(
      "Warning: {} of a node need {}, but a node of {} has {}: lower training.micro_batch or the model\n",
      ranks_of_a_node(plan), format_bytes(node_bytes(plan)), machine.name,
      format_bytes(machine.node.memory_gib * kGib));
}

}  // namespace

RankPlacement place_ranks(const Experiment& experiment, const cluster::MachineSettings& machine) {
  const std::int64_t ranks = experiment.parallel.mesh.ranks();
  const int asked = experiment.parallel.threads_per_rank;
  std::int64_t places = machine.node.processors / std::max(1, asked);
  if (machine.rate.resource == "accelerator") places = machine.node.accelerators;
  const std::int64_t per_node = std::clamp<std::int64_t>(places, 1, ranks);
  const auto shared = static_cast<int>(machine.node.processors / per_node);
  RankPlacement placement{ranks, per_node, asked > 0 ? asked : std::max(1, shared)};
  if (machine.rate.resource == "core") placement.isa = trainer::cpu::detected_isa();
  return placement;
}

trainer::StepSettings step_settings(const Experiment& e) {
  return {.model = e.model, .training = e.training, .parallel = e.parallel, .optimizer = e.optimizer};
}

trainer::MemoryTable rank_memory(const Experiment& e, const RankPlacement& placement,
                                 const parallel::MeshCoordinate& at) {
  trainer::MemoryTable memory =
      plan_rank(step_settings(e), {.at = at,
                                   .threads = placement.threads_per_rank,
                                   .ranks_per_node = static_cast<int>(placement.ranks_per_node),
                                   .documents = e.data.document_rules(),
                                   .isa = placement.isa,
                                   .staging_bytes = e.checkpoint.every_steps > 0 ? e.checkpoint.staging_bytes() : 0});
  add_runtime(placement.threads_per_rank, memory);
  return memory;
}

// Ranks of one stage differ by a chunk of the norm or by a row: the first and the last of each axis are enough.
int largest_rank(const Experiment& e, const RankPlacement& placement) {
  const parallel::MeshSize& mesh = e.parallel.mesh;
  int largest = 0;
  std::size_t most = 0;
  for (int stage = 0; stage < mesh.pipeline; ++stage)
    for (const int data : {0, mesh.data - 1})
      for (const int tensor : {0, mesh.tensor - 1}) {
        const parallel::MeshCoordinate at{.data = data, .pipeline = stage, .tensor = tensor};
        const std::size_t total = rank_memory(e, placement, at).total();
        if (total <= most) continue;
        most = total;
        largest = mesh_rank(mesh, at);
      }
  return largest;
}

Plan plan(const Experiment& e, const cluster::MachineSettings& machine, const PlanAssumptions& assumptions) {
  Plan result;
  result.parameters = parameter_count(e.model);
  result.tokens = static_cast<double>(e.training.steps) * static_cast<double>(e.training.global_batch) *
                  static_cast<double>(e.model.context_length);
  result.flops = result.tokens * training_flops_per_token(e.model);
  result.resource = machine.rate.resource;
  result.placement = place_ranks(e, machine);
  result.mesh = e.parallel.mesh;
  const int largest = largest_rank(e, result.placement);
  result.rank_bytes =
      static_cast<double>(rank_memory(e, result.placement, mesh_coordinate(result.mesh, largest)).total());
  result.idle = idle_share(e);
  result.traffic = step_traffic(e);
  result.resources =
      result.placement.ranks * (result.resource == "core" ? result.placement.threads_per_rank : std::int64_t{1});
  result.checkpoint_bytes = kCheckpointBytesPerParameter * static_cast<double>(result.parameters);
  const checkpoint::RetentionRules rules{e.checkpoint.keep_last, e.checkpoint.keep_every_steps, e.checkpoint.keep_best};
  result.kept_checkpoints = most_kept(rules, e.checkpoint.every_steps, e.training.steps) + 1;
  // A shard a rank, the manifest, checkpoint.h5 and their folder.
  result.checkpoint_inodes = result.placement.ranks + 3;
  const cluster::Sourced& peak =
      e.training.precision == trainer::Precision::kBf16 ? machine.peak_bf16_gflops : machine.peak_fp32_gflops;
  result.peak_gflops = assumptions.peak_gflops > 0 ? assumptions.peak_gflops : peak.value;
  result.peak_source = assumptions.peak_gflops > 0 ? assumptions.peak_source : peak.source;
  if (result.peak_gflops > 0) {
    const double reached = assumptions.utilisation * (1 - result.idle);
    result.seconds = result.flops / (reached * result.peak_gflops * 1e9 * static_cast<double>(result.resources));
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
  text += row("Memory", format_bytes(p.rank_bytes) + " a rank",
              fmt::format("{} for the {} of a node that has {}; --memory shows the parts", format_bytes(node_bytes(p)),
                          ranks_of_a_node(p), format_bytes(machine.node.memory_gib * kGib)));
  text += memory_warning(p, machine);
  if (p.mesh.pipeline > 1)
    text += row("Pipeline", fmt::format("{:.1f} % of the time idle", 100 * p.idle),
                fmt::format("the schedule's bubble and what {} stages wait for the slowest", p.mesh.pipeline));
  if (p.mesh.ranks() > 1) text += row("Traffic", format_bytes(p.traffic.sum()) + " a rank and step", traffic_note(p));
  text += row("Checkpoint", format_bytes(p.checkpoint_bytes),
              fmt::format("{} and {} inodes with those kept and the one being written",
                          format_bytes(p.checkpoint_bytes * static_cast<double>(p.kept_checkpoints)),
                          format_grouped(p.checkpoint_inodes * p.kept_checkpoints)));
  text += row("Resources", fmt::format("{} {}{}", p.resources, p.resource, p.resources == 1 ? "" : "s"));
  if (!p.seconds)
    return text + row("Time, price", "unknown",
                      fmt::format("the peak of {} is {}; give it with --peak-gflops", one(p.resource), p.peak_source));
  text += row("Peak", fmt::format("{:.4g} TFLOP/s {}", p.peak_gflops / 1e3, one(p.resource)), p.peak_source);
  text += row("Utilisation", fmt::format("{:.0f} %", 100 * assumptions.utilisation),
              p.mesh.pipeline > 1 ? "assumed, of the time not idle; give another with --utilisation"
                                  : "assumed; give another with --utilisation");
  text += row("Time", format_duration(*p.seconds));
  text += row(p.resource == "core" ? "Core-hours" : "GPU-hours", three_digits(p.price->resource_hours()));
  text += row("Price", money(*p.price),
              fmt::format("{} {} an hour: {}", machine.rate.price, machine.rate.currency, machine.rate.source));
  text += row("Energy", fmt::format("{} kWh", three_digits(p.price->energy_kwh)),
              fmt::format("modelled; {} kWh with PUE {}: {}", three_digits(p.price->facility_kwh),
                          machine.power.pue.value, machine.power.pue.source));
  text += row("CO2e", fmt::format("{} kg", three_digits(p.price->co2e_g / 1e3)),
              fmt::format("{} g/kWh: {}", machine.grid_g_per_kwh.value, machine.grid_g_per_kwh.source));
  return text;
}

}  // namespace stoa::launcher

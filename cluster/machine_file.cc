#include "stoa/cluster/machine_file.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "stoa/base/error.h"
#include "stoa/base/yaml_fields.h"

namespace stoa::cluster {
namespace {

constexpr RealRange kAboveZero{.low = RealRange::End::kOpen};

enum class Resource { kCore, kAccelerator };
constexpr YamlChoice<Resource> kResources[] = {{"core", Resource::kCore}, {"accelerator", Resource::kAccelerator}};

void describe_figure(YamlFields& fields, Sourced& figure) {
  fields.field("value", figure.value, RealRange{});
  fields.field("source", figure.source, Presence::kRequired);
}

void describe_node(YamlFields& fields, MachineSettings::Node& node) {
  fields.field("processors", node.processors, WholeRange{.least = 1, .most = 100000});
  fields.field("memory_gib", node.memory_gib, kAboveZero);
  fields.field("accelerators", node.accelerators, WholeRange{.least = 0, .most = 1000});
  fields.field("accelerator", node.accelerator, Presence::kOptional);
  fields.field("accelerator_memory_gib", node.accelerator_memory_gib, RealRange{});
}

void describe_rate(YamlFields& fields, MachineSettings::Rate& rate) {
  Resource resource = rate.resource == "accelerator" ? Resource::kAccelerator : Resource::kCore;
  fields.choice("resource", resource, kResources);
  rate.resource = kResources[static_cast<std::size_t>(resource)].name;
  fields.field("price", rate.price, RealRange{});
  fields.field("currency", rate.currency, Presence::kRequired);
  fields.field("source", rate.source, Presence::kRequired);
}

void describe_power(YamlFields& fields, MachineSettings::Power& power) {
  fields.section("idle_w", power.idle_w, describe_figure);
  fields.section("busy_w", power.busy_w, describe_figure);
  fields.section("pue", power.pue, describe_figure);
}

void describe_machine(YamlFields& fields, MachineSettings& machine) {
  fields.field("name", machine.name, Presence::kRequired);
  fields.field("description", machine.description, Presence::kRequired);
  fields.section("node", machine.node, describe_node);
  fields.section("rate", machine.rate, describe_rate);
  fields.section("power", machine.power, describe_power);
  fields.section("grid_g_per_kwh", machine.grid_g_per_kwh, describe_figure);
  fields.section("peak_fp32_gflops", machine.peak_fp32_gflops, describe_figure);
  fields.section("peak_bf16_gflops", machine.peak_bf16_gflops, describe_figure);
  fields.section("slurm", machine.slurm, describe_slurm);
}

}  // namespace

MachineSettings parse_machine(const YamlFile& file) {
  MachineSettings machine;
  YamlReader reader(file);
  describe_machine(reader, machine);
  reader.finish();
  const auto refuse = [&](const char* key, const std::string& message) {
    throw ConfigError("{}: {}", file.place(key), message);
  };
  if (machine.power.busy_w.value < machine.power.idle_w.value)
    refuse("power.busy_w.value", fmt::format("power.busy_w {} is below power.idle_w {}", machine.power.busy_w.value,
                                             machine.power.idle_w.value));
  if (machine.power.pue.value < 1)
    refuse("power.pue.value", fmt::format("power.pue {} is below 1: a site draws at least what its machines draw",
                                          machine.power.pue.value));
  if (machine.rate.resource == "accelerator" && machine.node.accelerators == 0)
    refuse("rate.resource", "rate.resource accelerator, but node.accelerators is 0");
  if (machine.node.accelerators > 0 && (machine.node.accelerator.empty() || machine.node.accelerator_memory_gib <= 0))
    refuse("node.accelerators",
           fmt::format("node.accelerators {} needs node.accelerator and node.accelerator_memory_gib",
                       machine.node.accelerators));
  if (const auto wrong = check_slurm(machine.slurm)) refuse(("slurm." + wrong->key).c_str(), "slurm." + wrong->message);
  return machine;
}

MachineSettings read_machine(const std::filesystem::path& path) { return parse_machine(YamlFile::read(path)); }

std::filesystem::path find_machine(std::string_view name, std::span<const std::filesystem::path> folders,
                                   std::string_view place) {
  if (name.find('/') != std::string_view::npos || name.ends_with(".yaml")) return name;
  std::vector<std::string> tried;
  for (const std::filesystem::path& folder : folders) {
    std::filesystem::path path = folder / (std::string(name) + ".yaml");
    std::error_code ignored;
    if (std::filesystem::is_regular_file(path, ignored)) return path;
    tried.push_back(path.string());
  }
  throw ConfigError("{}: no machine '{}': none of {} exists", place, name, fmt::join(tried, ", "));
}

}  // namespace stoa::cluster

#include "stoa/cluster/power.h"

#include <algorithm>
#include <fstream>
#include <string>

#include "stoa/base/error.h"

namespace stoa::cluster {
namespace {

template <typename T>
std::optional<T> read_value(const std::filesystem::path& file) {
  std::ifstream stream(file);
  T value;
  if (stream >> value) return value;
  return std::nullopt;
}

/// "intel-rapl:0" is a package or the whole board; "intel-rapl:0:2" is a part of a package.
bool is_rapl_zone(const std::string& name) { return name.starts_with("intel-rapl:"); }
bool is_part(const std::string& name) { return std::count(name.begin(), name.end(), ':') > 1; }

/// Whole packages, and memory, which packages do not contain. "psys" contains the packages, "core" and "uncore" are in
/// them.
bool counts(const std::filesystem::path& zone) {
  const std::string kind = read_value<std::string>(zone / "name").value_or("");
  return is_part(zone.filename().string()) ? kind == "dram" : kind != "psys";
}

}  // namespace

double node_share(int threads, int node_processors) {
  if (threads < 1 || node_processors < 1)
    throw ConfigError("a share of {} threads of a node of {} processors: both must be at least 1", threads,
                      node_processors);
  return std::min(1.0, static_cast<double>(threads) / node_processors);
}

ModelledPower::ModelledPower(const MachineSettings::Power& power, double share, const Clock& clock, double utilisation)
    : clock_(&clock), began_s_(clock.monotonic_s()) {
  const double idle_w = power.idle_w.value;
  const double busy_w = power.busy_w.value;
  if (!(idle_w >= 0 && busy_w >= idle_w))
    throw ConfigError("power.busy_w {} must be at least power.idle_w {}, and neither below 0", busy_w, idle_w);
  if (!(share > 0 && share <= 1) || !(utilisation >= 0 && utilisation <= 1))
    throw ConfigError("share {} must be in (0, 1] and utilisation {} in [0, 1]", share, utilisation);
  watts_ = share * (idle_w + (busy_w - idle_w) * utilisation);
}

std::optional<RaplEnergy> RaplEnergy::open(double share, const std::filesystem::path& root) {
  std::vector<Counter> counters;
  std::error_code unreadable;
  for (std::filesystem::directory_iterator entry(root, unreadable), end; !unreadable && entry != end;
       entry.increment(unreadable)) {
    const std::filesystem::path& zone = entry->path();
    if (!is_rapl_zone(zone.filename().string()) || !counts(zone)) continue;
    const auto now_uj = read_value<std::uint64_t>(zone / "energy_uj");
    const auto range_uj = read_value<std::uint64_t>(zone / "max_energy_range_uj");
    if (now_uj && range_uj) counters.push_back({zone / "energy_uj", *range_uj, *now_uj});
  }
  if (counters.empty()) return std::nullopt;
  return RaplEnergy(share, std::move(counters));
}

double RaplEnergy::energy_j() {
  for (Counter& counter : counters_) {
    const auto now_uj = read_value<std::uint64_t>(counter.file);
    if (!now_uj) continue;
    const bool wrapped = *now_uj < counter.last_uj;
    const std::uint64_t rest_of_range = counter.range_uj - std::min(counter.range_uj, counter.last_uj);
    total_uj_ += static_cast<double>(wrapped ? rest_of_range + *now_uj : *now_uj - counter.last_uj);
    counter.last_uj = *now_uj;
  }
  return total_uj_ * 1e-6 * share_;
}

}  // namespace stoa::cluster

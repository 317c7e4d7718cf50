#pragma once
/// Joules of one rank's share of a node, modelled or measured. The launcher adapts these to the meter that the training
/// loop takes. One thread each.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "stoa/base/clock.h"
#include "stoa/cluster/machine.h"

namespace stoa::cluster {

/// A rank's part of a node: threads / processors, at most 1. ConfigError unless both are at least 1.
double node_share(int threads, int node_processors);

/// share x (idle + (busy - idle) x utilisation) x elapsed: the share pays its part of the idle draw too, so that the
/// ranks of a full node add up to the node.
class ModelledPower {
 public:
  /// `utilisation`: how busy the share's processors are, 0 to 1; a training rank keeps its threads at work all the
  /// time. ConfigError where busy is below idle or a figure is out of range.
  ModelledPower(const MachineSettings::Power& power, double share, const Clock& clock, double utilisation = 1);

  double energy_j() const { return watts_ * (clock_->monotonic_s() - began_s_); }
  double watts() const { return watts_; }
  std::string_view source() const { return "modelled"; }

 private:
  const Clock* clock_;
  double began_s_;
  double watts_;
};

/// The processors' own counters (Intel and AMD packages, and memory where it is counted apart), times the share. Board,
/// disks and fans are not in it. To be read at least once per wraparound (262 kJ on many parts: 20 minutes at 200 W);
/// every step does.
class RaplEnergy {
 public:
  static constexpr const char* kSystemRoot = "/sys/class/powercap";

  /// Nothing where no counter can be read: no such processor, a virtual machine, or not permitted.
  static std::optional<RaplEnergy> open(double share, const std::filesystem::path& root = kSystemRoot);

  /// A counter that can no longer be read stands still.
  double energy_j();
  std::string_view source() const { return "measured (rapl)"; }

 private:
  struct Counter {
    std::filesystem::path file;
    std::uint64_t range_uj = 0;  ///< the counter goes from this value to 0
    std::uint64_t last_uj = 0;
  };
  RaplEnergy(double share, std::vector<Counter> counters) : share_(share), counters_(std::move(counters)) {}

  double share_;
  std::vector<Counter> counters_;
  double total_uj_ = 0;
};

}  // namespace stoa::cluster

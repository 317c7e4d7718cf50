#pragma once
/// Energy as the loop sees it: joules since the meter began. The launcher injects one: modelled from the machine file,
/// or read from the machine.
#include <string_view>

namespace stoa::trainer {

class PowerMeter {
 public:
  virtual ~PowerMeter() = default;
  /// Joules of this rank's share of the node since construction; never falls.
  virtual double energy_j() = 0;
  /// "modelled" or "measured (rapl)": stands beside every figure that comes from it.
  virtual std::string_view source() const = 0;
};

}  // namespace stoa::trainer

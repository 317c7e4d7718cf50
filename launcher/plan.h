#pragma once
/// What an experiment will need and cost before anything runs: arithmetic on its settings and its machine's figures.
#include <cstdint>
#include <optional>
#include <string>

#include "stoa/cluster/machine.h"
#include "stoa/cluster/price.h"
#include "stoa/launcher/experiment.h"

namespace stoa::launcher {

struct PlanAssumptions {
  double utilisation = 0.4;  ///< model FLOPs reached / peak
  double peak_gflops = 0;    ///< of one resource; 0: the machine's figure
};

struct Plan {
  std::int64_t parameters = 0;
  double tokens = 0;
  double flops = 0;
  std::int64_t resources = 0;  ///< cores or accelerators held
  std::string resource;
  double checkpoint_bytes = 0;  ///< one: fp32 parameters and both moments
  double kept_bytes = 0;        ///< keep_last of them and the one being written
  double peak_gflops = 0;       ///< used
  std::string peak_source;
  std::optional<double> seconds;  ///< nothing where no peak is known
  std::optional<cluster::Price> price;
};

Plan plan(const Experiment& experiment, const cluster::MachineSettings& machine, const PlanAssumptions& assumptions);
std::string plan_text(const Plan& plan, const cluster::MachineSettings& machine, const PlanAssumptions& assumptions);

}  // namespace stoa::launcher

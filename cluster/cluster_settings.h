#pragma once
/// What an experiment says about the machine it runs on.
#include <string>

#include "stoa/cluster/slurm_settings.h"

namespace stoa::cluster {

struct ClusterSettings {
  /// "local" names local.yaml in machines/ beside the experiment, in configs/machines/ or in the installed share
  /// folder; a value with '/' or ending in .yaml is a path.
  std::string machine = "local";
  SlurmSettings slurm;  ///< its keys stand beside `machine`
};

}  // namespace stoa::cluster

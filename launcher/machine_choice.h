#pragma once
/// Which machine file an experiment means.
#include <filesystem>

#include "stoa/launcher/experiment.h"

namespace stoa::launcher {

/// The file of `experiment.cluster.machine`: in machines/ beside the experiment's file, in configs/machines/ of the
/// working directory, or in the share folder that was installed with this program. ConfigError where it is nowhere.
std::filesystem::path machine_file(const Experiment& experiment, const std::filesystem::path& experiment_file);

}  // namespace stoa::launcher

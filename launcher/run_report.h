#pragma once
/// The report of a run from what stands in its directory.
#include <filesystem>

#include "stoa/cluster/report.h"
#include "stoa/launcher/run_directory.h"

namespace stoa::launcher {

/// "Llama family, 6 layers, width 256, ...".
std::string describe_model(const trainer::ModelSettings& model);

/// "data 2 x pipeline 2 x tensor 1, zero 1, 1f1b, recompute none"
std::string layout_of(const Experiment& experiment);

/// DataError or ConfigError where the directory is no run's.
cluster::RunReport report_of(const RunDirectory& run);

}  // namespace stoa::launcher

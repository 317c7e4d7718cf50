#pragma once
/// What `stoa plan --memory` prints: one rank part by part, and all stages of the pipeline side by side.
#include <string>

#include "stoa/launcher/plan.h"

namespace stoa::launcher {

/// REQUIRES: 0 <= rank < placement.ranks.
std::string memory_text(const Experiment& experiment, const RankPlacement& placement, int rank);

}  // namespace stoa::launcher

#pragma once
/// What the axes of a mesh cost in time and traffic. Pure.
#include "stoa/launcher/experiment.h"

namespace stoa::launcher {

/// The part of a step in which a stage has nothing to do, mean of all stages: the bubble of the schedule and what
/// stages with less work wait for the others. Work is counted in FLOPs of matrix products, messages take no time. 0
/// where there is one stage.
double idle_share(const Experiment& experiment);

/// Bytes that one rank sends in a step, on each axis: what a ring of ranks would send, whatever the network.
struct StepTraffic {
  double data = 0;
  double tensor = 0;
  double pipeline = 0;
  double sum() const { return data + tensor + pipeline; }
};
/// Of the stage with the most.
StepTraffic step_traffic(const Experiment& experiment);

}  // namespace stoa::launcher

#pragma once
/// What a pipeline schedule takes in time and memory, without running it: all stages' lists played against each other
/// with given costs. Pure; the planner asks it for the bubble, and it proves that a schedule ends.
///
/// A step begins when its stage is free. A message leaves when the step that made it has ended, takes transfer_s on its
/// link (one after another) without keeping the stage, and waits there until it is received. A send waits until fewer
/// than waiting_messages are under way or wait. A receive waits for its message.
///
/// Whether lists end or deadlock does not depend on costs: stages read and write their links in one order only, so what
/// each of them can reach is the same for every timing. One run with any costs proves it for all.
#include <vector>

#include "stoa/parallel/communicator.h"
#include "stoa/parallel/pipeline_schedule.h"

namespace stoa::parallel {

/// Seconds a micro-batch. kBackward takes both of the latter.
struct StepCosts {
  double forward_s = 1;
  double backward_input_s = 1;
  double backward_weight_s = 1;
};

struct PipelineCosts {
  std::vector<std::vector<StepCosts>> steps;  ///< [stage][chunk]
  double transfer_s = 0;                      ///< of one message
  int waiting_messages = Communicator::kWaitingMessages;
};

/// All stages and chunks alike.
PipelineCosts uniform_costs(const PipelineShape& shape, const StepCosts& costs);

struct PipelineSimulation {
  std::vector<std::vector<double>> ended_s;  ///< [stage][action], from the begin of all
  double makespan_s = 0;
  std::vector<double> busy_s;                   ///< of each stage: its steps alone
  std::vector<double> idle_s;                   ///< of each stage: makespan less busy
  double bubble = 0;                            ///< what the makespan is longer than the busiest stage, over that
  std::vector<int> most_in_flight;              ///< of each stage, all its chunks together
  std::vector<std::vector<int>> most_of_chunk;  ///< [stage][chunk]
};

/// InternalError for lists that deadlock (it names every stage that waits, and for what), for a message that another
/// receive expects, for one that nobody receives, and for costs of another shape. REQUIRES: one plan a stage.
PipelineSimulation simulate_pipeline(const PipelineShape& shape, const std::vector<PipelinePlan>& plans,
                                     const PipelineCosts& costs);

}  // namespace stoa::parallel

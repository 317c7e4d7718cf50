#pragma once
/// What a mixture will draw, as a table for people: `stoa validate` and `stoa plan` print it.
#include <string>

#include "stoa/launcher/experiment.h"
#include "stoa/trainer/data/training_data.h"

namespace stoa::launcher {

/// A line for each stage and source: its share of the blocks, the samples and tokens that this run draws of it in the
/// stage, how many epochs these are; then each source over the whole run. REQUIRES: data.plan() is there.
std::string mixture_table(const Experiment& experiment, const trainer::TrainingData& data);

/// The table behind an empty line where the experiment has a mixture and all its sources are there; else "".
std::string mixture_part(const Experiment& experiment);

}  // namespace stoa::launcher

#pragma once
/// The layouts on which a small model is verified.
#include <string>
#include <vector>

#include "stoa/trainer/loop/training_step.h"

namespace stoa::trainer {

enum class LayoutChoice {
  kPairwise,  ///< every two values of mesh axes, schedule, chunks, ZeRO and recomputation meet
  kAll,       ///< every combination
};

/// The settings with other `parallel` and recomputation. The first is the settings' own layout; then meshes of 1 to
/// kMostVerifiedRanks ranks with sizes 1, 2, 3, 4, 8 and the settings' own on each axis, every schedule, ZeRO stage and
/// recomputation, as check_layout lets pass. ZeRO varies where there are data ranks and the schedule where there are
/// stages.
std::vector<StepSettings> layouts_of(const StepSettings& settings, LayoutChoice choice);

/// Words for tables: "none", "selective", "full".
std::string_view recompute_name(Recompute recompute);
/// "interleaved x 2": the schedule, with the chunks of a stage where there are several.
std::string schedule_text(const ParallelSettings& parallel);
/// "data 2 x pipeline 2 x tensor 1, zero 1, 1f1b, recompute none"
std::string layout_text(const StepSettings& settings);

}  // namespace stoa::trainer

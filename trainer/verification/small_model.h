#pragma once
/// An experiment made so small that a step takes milliseconds on threads of one machine, with everything kept that a
/// layout can depend on. Pure.
#include "stoa/trainer/loop/training_step.h"

namespace stoa::trainer {

/// Ranks that a small layout has at most.
inline constexpr int kMostVerifiedRanks = 8;

/// The mesh axis by axis: halved, the largest axis first and none below 2, until it has no more ranks than that. What
/// was above 1 stays above 1.
parallel::MeshSize scaled_down(const parallel::MeshSize& mesh, int most_ranks);

/// Kept: family, tied embedding, norm of queries and keys, dropout, query heads of a key-value head (up to 4),
/// precision, recomputation, deterministic mode, z-loss, which axes are cut, schedule, ZeRO, whether a stage has
/// several chunks and whether stages are uneven. Small and odd: width, feed-forward width, vocabulary, context. The
/// batch is as small as the layout permits while every token id occurs in it twice. ConfigError where there is no small
/// model on which this layout works.
StepSettings small_settings(const StepSettings& experiment);

}  // namespace stoa::trainer

#pragma once
/// L2 norms of tensors from their pieces: what a checkpoint's writer and its reader both know of the values, whatever
/// the layout.
#include <span>
#include <string>
#include <vector>

#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/save_plan.h"
#include "stoa/checkpoint/tensor_piece.h"

namespace stoa::checkpoint {

/// In double, by eight partial sums.
double sum_of_squares(std::span<const float> values);

/// The norm of each of the plan's tensors, from the sums of squares of its sources. NaN where it is not finite.
std::vector<double> norms_of(const SavePlan& plan, std::span<const double> squares);

/// What a rank tells of the pieces that it loaded.
std::string describe_loaded(std::span<const PieceToLoad> pieces, std::span<const double> squares);
/// What is wrong with what all ranks told, against the manifest: a norm that differs by more than the order of double
/// sums explains, or a box that two ranks hold with other values. Empty where nothing is. A tensor whose boxes overlap
/// is not judged.
std::string norm_defect(const Manifest& manifest, std::span<const std::string> loaded);

}  // namespace stoa::checkpoint

#pragma once
/// Holds what a layout gave against what one rank gave. Pure.
///
/// What is promised. Where training.deterministic holds and the tensor axis has one rank: the same bits of everything.
/// Elsewhere the layouts add the same terms in other orders, so that results differ by rounding, and by that alone:
///
///   fp32          a sum of n terms in two orders differs by at most 2 (n - 1) u sum |t|, u = 2^-24, and as rounding
///                 errors have no common sign, by about 2 sqrt(n) u of it (Higham, Accuracy and Stability of Numerical
///                 Algorithms, 2002, section 4.2). Twelve sums or so, of some hundred terms each, stand behind each
///                 other in a small model's passes: kFp32Gradient is 2^9 u of the parameter's largest gradient.
///   bf16          the ranks of a tensor axis round sums to bf16 which differ in fp32, so that here and there one
///                 activation falls to the neighbouring number, 2^-8 from it: such errors meet in a gradient with
///                 random signs. kBf16Gradient is 2^-5 of the largest. With one tensor rank every micro-batch's
///                 gradients have the same bits, and their sum in another order is bounded as in fp32.
///   second step   AdamW's first update is learning_rate x g / (|g| + epsilon), so that an error d of a gradient moves
///                 the loss by at most 2 learning_rate |d|, to first order and also where it turns the sign of a
///                 gradient near zero: the bound of the second loss is the first one's plus twice
///                 2 learning_rate sum |d| over the differences that were found.
#include <optional>
#include <string>

#include "stoa/trainer/verification/layout_run.h"

namespace stoa::trainer {

struct Bounds {
  bool same_bits = false;
  double loss = 0;      ///< relative, of the first step
  double gradient = 0;  ///< of a parameter's largest gradient, of the first step
};
Bounds bounds_of(const StepSettings& settings);

struct Comparison {
  Bounds bounds;
  bool same_bits = false;  ///< of losses, gradients, norms and masters of both steps
  double loss_difference = 0, second_loss_difference = 0, norm_difference = 0;  ///< relative
  double second_loss_bound = 0;
  double gradient_difference = 0;  ///< the largest of all parameters, each relative to its own largest gradient
  std::string worst_parameter;
  /// What is not as promised, as a sentence that names parameter or loss with value and bound; nothing: all is.
  std::optional<std::string> fault;
};

/// REQUIRES: both ran the same model, batch and precision.
Comparison compare(const StepSettings& settings, const LayoutRun& layout, const LayoutRun& one_rank);

/// The parameter by whose largest gradient differences of `name` are measured: itself, but for a key's bias the
/// query's. Softmax does not change where all keys are moved by one vector, so that this gradient is zero but for
/// rounding.
std::string scale_parameter(const std::string& name);

}  // namespace stoa::trainer

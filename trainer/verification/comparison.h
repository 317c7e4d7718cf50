#pragma once
/// Holds what a layout gave against what one rank gave. Pure.
///
/// What is promised. Where training.deterministic holds and the tensor axis has one rank: the same bits of everything.
/// Elsewhere layouts add the same terms in other orders: results differ by rounding, and by that alone. u = 2^-24.
///
///   fp32     a sum of n terms in two orders differs by at most 2 (n - 1) u sum |t|, and as rounding errors have no
///            common sign, by about 2 sqrt(n) u of it (Higham, Accuracy and Stability of Numerical Algorithms, 2002,
///            section 4.2). About 16 products of some hundred terms each stand behind each other in the passes of four
///            layers: 2 x 16 x sqrt(256) u = 2^9 u of a parameter's largest gradient. A loss is a mean over tokens of
///            values that one product more made, and its errors meet with random signs: 2^5 u of it.
///   bf16     ranks of the tensor axis round sums to bf16 which differ in fp32, so that some of those 16 become the
///            neighbouring number, 2^-8 away: 16 x 2^-8 = 2^-4 of the largest gradient, 2^-9 of the loss. With one
///            tensor rank a micro-batch's loss and gradients have the same bits: the bounds are those of fp32.
///   update   AdamW's first update is learning_rate x g / (|g| + epsilon): gradients that differ by d, as the bounds
///            above permit, move an element apart by at most 2 learning_rate min(1, d / |g|), and by the update's own
///            rounding, 2^4 u (learning_rate + |element|).
///   step 2   masters that were found to differ by e move the loss by sum |g| |e|, to first order; twice that, and the
///            bound of the first loss (in bf16 always 2^-9: masters that differ may round to other products' weights).
#include <optional>
#include <string>

#include "stoa/trainer/verification/layout_run.h"

namespace stoa::trainer {

struct Bounds {
  bool same_bits = false;
  double loss = 0;      ///< relative, of step 1
  double gradient = 0;  ///< of a parameter's largest gradient, of step 1; relative, of the gradient norm
};
Bounds bounds_of(const StepSettings& settings);

/// The largest difference of a kind and where it is.
struct WorstParameter {
  double difference = 0;
  std::string name;
};

struct Comparison {
  Bounds bounds;
  bool same_bits = false;  ///< of losses, gradients, norms and masters of both steps
  double loss_difference = 0, second_loss_difference = 0, norm_difference = 0;  ///< relative
  double second_loss_bound = 0;
  WorstParameter gradient;  ///< relative to the parameter's largest gradient
  WorstParameter update;    ///< of masters after one update, as a part of the bound
  /// What is not as promised, as a sentence that names parameter or loss with value and bound; nothing: all is.
  std::optional<std::string> fault;
};

/// NumericError that names a parameter whose gradient is zero everywhere, upon which any layout is equal.
void require_gradients(const LayoutRun& one_rank);

/// REQUIRES: both ran the same model, batch and precision.
Comparison compare(const StepSettings& settings, const LayoutRun& layout, const LayoutRun& one_rank);

/// The parameter by whose largest gradient differences of `name` are measured: itself, but for a key's bias the
/// query's. Softmax does not change where all keys are moved by one vector, so that this gradient is zero but for
/// rounding.
std::string scale_parameter(const std::string& name);

}  // namespace stoa::trainer

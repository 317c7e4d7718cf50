#pragma once
/// Cross entropy with the z term, in double: loss_r = lse - logit[target], z_r = lse^2.
#include <cmath>
#include <cstdint>

#include "stoa/tests/reference/values.h"

namespace stoa::reference {

struct CrossEntropySizes {
  std::size_t vocabulary;
  std::size_t row_stride;
};

struct CrossEntropy {
  Values loss_r;
  Values z_r;
  Values dlogits_rv;
};

inline CrossEntropy cross_entropy(const CrossEntropySizes& sizes, const Values& logits_rv,
                                  const std::vector<std::int32_t>& targets_r, double scale, double z_loss) {
  const auto [vocabulary, stride] = sizes;
  CrossEntropy result{Values(targets_r.size()), Values(targets_r.size()), Values(logits_rv.size())};
  for (std::size_t r = 0; r < targets_r.size(); ++r) {
    if (targets_r[r] < 0) continue;
    const auto target = static_cast<std::size_t>(targets_r[r]);
    const double* logits = logits_rv.data() + r * stride;
    double largest = logits[0];
    for (std::size_t v = 0; v < vocabulary; ++v) largest = std::max(largest, logits[v]);
    double total = 0;
    for (std::size_t v = 0; v < vocabulary; ++v) total += std::exp(logits[v] - largest);
    const double lse = largest + std::log(total);
    result.loss_r[r] = lse - logits[target];
    result.z_r[r] = lse * lse;
    for (std::size_t v = 0; v < vocabulary; ++v) {
      const double softmax = std::exp(logits[v] - lse);
      result.dlogits_rv[r * stride + v] = scale * (softmax - (v == target ? 1.0 : 0.0) + 2 * z_loss * lse * softmax);
    }
  }
  return result;
}

/// What dlogits is the gradient of.
inline double cross_entropy_objective(const CrossEntropy& result, double scale, double z_loss) {
  double sum = 0;
  for (std::size_t r = 0; r < result.loss_r.size(); ++r) sum += scale * (result.loss_r[r] + z_loss * result.z_r[r]);
  return sum;
}

}  // namespace stoa::reference

#pragma once
/// What the double-precision references are written in: plain vectors, index arithmetic in the open.
#include <cstddef>
#include <functional>
#include <vector>

namespace stoa::reference {

using Values = std::vector<double>;

/// The sum of weight * value: the scalar whose gradient by the values' inputs a backward pass with dy = weight gives.
inline double weighted_sum(const Values& weights, const Values& values) {
  double sum = 0;
  for (std::size_t i = 0; i < values.size(); ++i) sum += weights[i] * values[i];
  return sum;
}

/// Central differences of a scalar function: exact up to h^2 times the third derivative and rounding over h.
inline Values finite_difference(const std::function<double(const Values&)>& function, Values at, double h = 1e-5) {
  Values gradient(at.size());
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double middle = at[i];
    at[i] = middle + h;
    const double above = function(at);
    at[i] = middle - h;
    const double below = function(at);
    at[i] = middle;
    gradient[i] = (above - below) / (2 * h);
  }
  return gradient;
}

}  // namespace stoa::reference

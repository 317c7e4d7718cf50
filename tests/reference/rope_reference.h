#pragma once
/// The rotary embedding of one head of E = x.size() elements at one position.
#include <cmath>

#include "stoa/tests/reference/values.h"

namespace stoa::reference {

/// Element e and element e + E/2 are turned by position * theta^(-2e/E); a negative position turns back.
inline Values rope_head(const Values& x, double position, double theta) {
  const std::size_t half = x.size() / 2;
  Values y(x.size());
  for (std::size_t e = 0; e < half; ++e) {
    const double exponent = -2 * static_cast<double>(e) / static_cast<double>(x.size());
    const double angle = position * std::pow(theta, exponent);
    y[e] = x[e] * std::cos(angle) - x[e + half] * std::sin(angle);
    y[e + half] = x[e + half] * std::cos(angle) + x[e] * std::sin(angle);
  }
  return y;
}

}  // namespace stoa::reference

#pragma once
/// SwiGLU and GELU of one element, with their derivatives.
#include <cmath>

#include "stoa/tests/reference/values.h"

namespace stoa::reference {

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

inline double swiglu(double gate, double up) { return gate * sigmoid(gate) * up; }

struct SwigluDerivatives {
  double by_gate;
  double by_up;
};

inline SwigluDerivatives swiglu_derivatives(double gate, double up) {
  const double s = sigmoid(gate);
  return {up * (s + gate * s * (1 - s)), gate * s};
}

inline double gelu(double x) {
  const double inner = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
  return x / 2 * (1 + std::tanh(inner));
}

inline double gelu_derivative(double x) {
  const double tanh = std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x));
  const double slope = std::sqrt(2 / M_PI) * (1 + 3 * 0.044715 * x * x);
  return (1 + tanh) / 2 + x / 2 * (1 - tanh * tanh) * slope;
}

}  // namespace stoa::reference

#pragma once
/// AdamW of one element, in the order of torch.optim.AdamW.
#include <cmath>
#include <cstdint>

namespace stoa::reference {

struct AdamWElement {
  double w = 0;
  double m = 0;
  double v = 0;
};

struct AdamWNumbers {
  double learning_rate = 0;
  double beta1 = 0;
  double beta2 = 0;
  double epsilon = 0;
  double weight_decay = 0;
  std::int64_t step = 1;
};

inline AdamWElement adamw(AdamWElement element, double gradient, const AdamWNumbers& numbers) {
  element.w *= 1 - numbers.learning_rate * numbers.weight_decay;
  element.m = numbers.beta1 * element.m + (1 - numbers.beta1) * gradient;
  element.v = numbers.beta2 * element.v + (1 - numbers.beta2) * gradient * gradient;
  const double m_hat = element.m / (1 - std::pow(numbers.beta1, static_cast<double>(numbers.step)));
  const double v_hat = element.v / (1 - std::pow(numbers.beta2, static_cast<double>(numbers.step)));
  element.w -= numbers.learning_rate * m_hat / (std::sqrt(v_hat) + numbers.epsilon);
  return element;
}

}  // namespace stoa::reference

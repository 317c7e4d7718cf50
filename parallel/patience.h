#pragma once
/// How a rank waits for others: it spins while an answer is near, then gives its processor away, then sleeps briefly,
/// so that more ranks than processors, and long waits, cost the others little.
#include <chrono>

namespace stoa::parallel {

class Patience {
 public:
  explicit Patience(std::chrono::steady_clock::time_point deadline) : deadline_(deadline) {}

  /// Called each time the answer was not there yet. False when the deadline has passed.
  [[nodiscard]] bool wait_a_little();

 private:
  std::chrono::steady_clock::time_point deadline_;
  std::chrono::steady_clock::time_point began_{};
  int tries_ = 0;
};

}  // namespace stoa::parallel

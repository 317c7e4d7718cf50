#pragma once
/// How a rank waits for others: it spins while an answer is near, then gives its processor away, then sleeps briefly,
/// so that more ranks than processors, and long waits, cost the others little.
#include <chrono>

namespace stoa::parallel {

enum class Waiting {
  kEager,   ///< this thread has nothing else to do: the answer counts
  kPolite,  ///< another thread of this rank computes on the same processor: after microseconds it sleeps
};

class Patience {
 public:
  explicit Patience(std::chrono::steady_clock::time_point deadline, Waiting waiting = Waiting::kEager)
      : deadline_(deadline), waiting_(waiting) {}

  /// Called each time the answer was not there yet. False when the deadline has passed.
  [[nodiscard]] bool wait_a_little();
  /// Whether the answer was not near: time for what is worth looking at only now and then.
  bool has_left_its_processor() const { return left_; }

 private:
  void leave_processor(std::chrono::steady_clock::duration waited);

  std::chrono::steady_clock::time_point deadline_;
  std::chrono::steady_clock::time_point began_{};
  std::chrono::microseconds nap_{50};
  Waiting waiting_;
  int tries_ = 0;
  bool left_ = false;
};

}  // namespace stoa::parallel

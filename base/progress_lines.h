#pragma once
/// The progress of what takes long, for people: lets one line through each two seconds. One thread at a time.
#include <utility>

#include "stoa/base/clock.h"
#include "stoa/base/log.h"

namespace stoa {

/// Borrows log and clock. The first line comes no sooner than two seconds after it was made.
class ProgressLines {
 public:
  ProgressLines(Log& log, const Clock& clock)
      : log_(log), clock_(clock), began_s_(clock.monotonic_s()), last_s_(began_s_) {}

  double elapsed_s() const { return clock_.monotonic_s() - began_s_; }

  template <typename... Args>
  void line(fmt::format_string<Args...> format, Args&&... args) {
    constexpr double kEvery_s = 2;
    const double now_s = clock_.monotonic_s();
    if (now_s - last_s_ < kEvery_s) return;
    last_s_ = now_s;
    log_.info("{}", fmt::format(format, std::forward<Args>(args)...));
  }

 private:
  Log& log_;
  const Clock& clock_;
  double began_s_;
  double last_s_;
};

}  // namespace stoa

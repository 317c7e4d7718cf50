#pragma once
/// Time behind a seam. Everything that waits, stamps or measures takes a Clock&, so that tests tick instead of
/// sleeping.
#include <cstdint>
#include <string>

namespace stoa {

class Clock {
 public:
  virtual ~Clock() = default;
  /// Seconds since an arbitrary start; never goes back. Any thread.
  virtual double monotonic_s() const = 0;
  /// Seconds since 1970-01-01 UTC. Any thread.
  virtual double unix_s() const = 0;
};

class SystemClock final : public Clock {
 public:
  double monotonic_s() const override;
  double unix_s() const override;
};

class FakeClock final : public Clock {
 public:
  explicit FakeClock(double unix_s = 0) : unix_s_(unix_s) {}
  double monotonic_s() const override { return elapsed_s_; }
  double unix_s() const override { return unix_s_ + elapsed_s_; }
  void tick(double seconds) { elapsed_s_ += seconds; }

 private:
  double unix_s_;
  double elapsed_s_ = 0;
};

/// "2026-03-05T14:07:09Z" (RFC 3339, UTC, whole seconds).
std::string format_utc(double unix_s);

}  // namespace stoa

#include "stoa/parallel/patience.h"

#include <sched.h>

#include <algorithm>
#include <thread>

namespace stoa::parallel {
namespace {

constexpr auto kSpin = std::chrono::microseconds(50);
constexpr auto kPoliteSpin = std::chrono::microseconds(5);
// A wait this long already costs more than the nap that ends it late.
constexpr auto kYield = std::chrono::milliseconds(10);
constexpr auto kNap = std::chrono::microseconds(100);
// A waking costs the thread that computes: waiting so took 3 to 5 % of a core, measured.
constexpr auto kLongestPoliteNap = std::chrono::microseconds(400);
constexpr int kTriesPerLook = 32;

void relax_processor() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

bool Patience::wait_a_little() {
  relax_processor();
  if (++tries_ % kTriesPerLook != 0 && began_ == std::chrono::steady_clock::time_point{}) return true;
  const auto now = std::chrono::steady_clock::now();
  if (began_ == std::chrono::steady_clock::time_point{}) began_ = now;
  if (now >= deadline_) return false;
  if (now - began_ >= (waiting_ == Waiting::kPolite ? kPoliteSpin : kSpin)) leave_processor(now - began_);
  return true;
}

void Patience::leave_processor(std::chrono::steady_clock::duration waited) {
  left_ = true;
  if (waiting_ == Waiting::kPolite) {
    std::this_thread::sleep_for(nap_);
    nap_ = std::min(2 * nap_, kLongestPoliteNap);
  } else if (waited < kYield) {
    sched_yield();
  } else {
    std::this_thread::sleep_for(kNap);
  }
}

}  // namespace stoa::parallel

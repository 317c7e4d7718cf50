#include "stoa/parallel/patience.h"

#include <sched.h>

#include <thread>

namespace stoa::parallel {
namespace {

constexpr auto kSpin = std::chrono::microseconds(50);
// A wait this long already costs more than the nap that ends it late.
constexpr auto kYield = std::chrono::milliseconds(10);
constexpr auto kNap = std::chrono::microseconds(100);
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
  if (now - began_ < kSpin) return true;
  if (now - began_ < kYield)
    sched_yield();
  else
    std::this_thread::sleep_for(kNap);
  return true;
}

}  // namespace stoa::parallel

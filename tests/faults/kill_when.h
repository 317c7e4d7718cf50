#pragma once
/// A kill -9 at the moment that a test names.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <functional>

#include "stoa/base/process.h"

namespace stoa::faults {

/// Kills the process once `is_so` or lets it end; whether it was killed.
inline bool kill_when(Process& process, const std::function<bool()>& is_so) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!process.poll() && std::chrono::steady_clock::now() < deadline)
    if (is_so()) {
      process.signal(SIGKILL);
      return process.wait().signal == SIGKILL;
    }
  EXPECT_TRUE(process.poll()) << "no end after a minute";
  return false;
}

}  // namespace stoa::faults

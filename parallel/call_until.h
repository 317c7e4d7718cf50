#pragma once
/// Blocking calls of a library that knows no deadlines, with a deadline.
#include <chrono>
#include <future>
#include <string_view>
#include <thread>
#include <type_traits>
#include <utility>

#include "stoa/base/error.h"

namespace stoa::parallel {

/// What `call` returns or throws. It runs on a thread of its own. CommError when the deadline passes: that thread then
/// stays in the call, until it ends or the process does, so `call` owns all that it uses.
template <typename Call>
std::invoke_result_t<Call> call_until(std::chrono::steady_clock::time_point deadline, std::string_view name,
                                      Call call) {
  std::packaged_task<std::invoke_result_t<Call>()> task(std::move(call));
  auto result = task.get_future();
  std::thread thread(std::move(task));
  if (result.wait_until(deadline) != std::future_status::ready) {
    thread.detach();
    throw CommError("{} waited for the other ranks until the deadline passed: one of them never came to it", name);
  }
  thread.join();
  return result.get();
}

}  // namespace stoa::parallel

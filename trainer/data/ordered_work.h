#pragma once
/// Work on a stream of items by several threads, in bounded memory, with results in the order of the stream: what
/// counting words, encoding and filtering documents have in common. Results do not depend on the number of threads.
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <system_error>
#include <thread>
#include <vector>

namespace stoa::trainer {

/// Items are made by `produce(item) -> bool` (false: the stream has ended), worked on by `work(worker, item)` and
/// handed to `consume(item)` in the order in which they were produced. produce is called by one thread at a time,
/// consume too, and neither waits for the other; work runs on `threads` threads at once, which also do the producing
/// and consuming: no further thread is started, and fewer where the system gives no more. At most 4 * threads items
/// live at a time, beside the one that is consumed. The first exception ends the work and is thrown here. `worker` is
/// 0 .. threads - 1, for memory that a thread keeps. REQUIRES: threads >= 1; Item has a default.
template <typename Item, typename Produce, typename Work, typename Consume>
void work_in_order(int threads, Produce produce, Work work, Consume consume) {
  struct Slot {
    Item item{};
    bool done = false;
  };
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::unique_ptr<Slot>> line;  // in the order of the stream; the front is consumed next
  bool producing = false, consuming = false, ended = false;
  std::exception_ptr failure;
  const std::size_t most = std::size_t{4} * static_cast<std::size_t>(threads);

  const auto run = [&](int worker) {
    std::unique_lock lock(mutex);
    for (;;) {
      if (failure) return;
      if (!consuming && !line.empty() && line.front()->done) {
        consuming = true;
        const std::unique_ptr<Slot> slot = std::move(line.front());
        line.pop_front();
        lock.unlock();
        consume(slot->item);
        lock.lock();
        consuming = false;
        changed.notify_all();
      } else if (!producing && !ended && line.size() < most) {
        producing = true;
        lock.unlock();
        auto slot = std::make_unique<Slot>();
        const bool more = produce(slot->item);
        lock.lock();
        producing = false;
        ended = !more;
        Slot* const mine = slot.get();
        if (more) line.push_back(std::move(slot));
        changed.notify_all();
        if (!more) continue;
        lock.unlock();
        work(worker, mine->item);
        lock.lock();
        mine->done = true;
        changed.notify_all();
      } else if (ended && line.empty() && !consuming) {
        return;
      } else {
        changed.wait(lock);
      }
    }
  };
  const auto guarded = [&](int worker) {
    try {
      run(worker);
    } catch (...) {
      const std::scoped_lock lock(mutex);
      if (!failure) failure = std::current_exception();
      changed.notify_all();
    }
  };
  std::vector<std::thread> others;
  others.reserve(static_cast<std::size_t>(threads));
  try {
    for (int worker = 1; worker < threads; ++worker) others.emplace_back(guarded, worker);
  } catch (const std::system_error&) {
    // The system gives no more threads: those that there are do all the work.
  }
  guarded(0);
  for (std::thread& other : others) other.join();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace stoa::trainer

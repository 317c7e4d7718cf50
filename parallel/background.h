#pragma once
/// Runs collectives of a group on a thread of its own, in the order given, so that they go on while this rank computes.
/// (MPI's nonblocking collectives make no progress between calls; notes on CPU performance, measured.)
///
/// Its thread waits politely: it leaves the processor to the threads that compute.
///
/// The group belongs to it: nobody else makes calls of it while work is under way. On a group of one everything runs
/// inline and no thread is started. After work has thrown, later work is not run: its wait() throws the same. And all
/// groups of this rank break then, so that the rank comes to that wait() whatever it waits for elsewhere.
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>

#include "stoa/parallel/communicator.h"

namespace stoa::parallel {

class Background {
 public:
  /// Number of a piece of work, counted from 1; 0 is always done.
  using Ticket = std::uint64_t;

  explicit Background(std::unique_ptr<Communicator> group);
  /// Waits for all that was started; the group's deadline bounds it. While an exception is under way that was not when
  /// it was built, it interrupts the group instead.
  ~Background();
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  /// For setting up and for asking: allocate(), rank(), size(). REQUIRES for calls: no work is under way.
  Communicator& group() { return *group_; }

  /// One thread starts and waits. What the work refers to lives until it was waited for.
  Ticket start(std::function<void(Communicator&)> work);
  /// Returns when that piece and all before it are done. Throws what the first piece that failed threw, also where that
  /// came after this one: the group is not in order any more.
  void wait(Ticket ticket);
  /// The work under way, and all later, throws a CommError.
  void interrupt(std::string_view reason) { group_->interrupt(reason); }
  /// start and wait.
  void run(const std::function<void(Communicator&)>& work) { wait(start(work)); }

  /// Seconds that its thread has spent in work, and that wait() has let this rank wait, since the start.
  double busy_s() const;
  double waited_s() const { return waited_s_; }

 private:
  void serve();

  std::unique_ptr<Communicator> group_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void(Communicator&)>> work_;
  std::uint64_t started_ = 0, done_ = 0;
  double busy_s_ = 0, waited_s_ = 0;
  std::exception_ptr failure_;
  bool leaving_ = false;
  int uncaught_at_start_;
  std::thread thread_;
};

}  // namespace stoa::parallel

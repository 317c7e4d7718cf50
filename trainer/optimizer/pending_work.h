#pragma once
/// Work given to a Background that refers to memory of the giver.
#include <exception>
#include <functional>
#include <utility>

#include "stoa/parallel/background.h"

namespace stoa::trainer {

/// Declared behind the memory that the work refers to: its end waits, whatever throws. While an exception is under way
/// that was not when it was built, it interrupts the group first: the other ranks need not come any more.
class PendingWork {
 public:
  explicit PendingWork(parallel::Background& background)
      : background_(background), uncaught_at_start_(std::uncaught_exceptions()) {}
  ~PendingWork() {
    if (std::uncaught_exceptions() > uncaught_at_start_) background_.interrupt("it ended by an exception");
    try {
      background_.wait(last_);
    } catch (...) {  // whoever waits for a result gets it; here only the memory's use counts
    }
  }
  PendingWork(const PendingWork&) = delete;
  PendingWork& operator=(const PendingWork&) = delete;

  parallel::Background::Ticket start(std::function<void(parallel::Communicator&)> work) {
    return last_ = background_.start(std::move(work));
  }
  void wait(parallel::Background::Ticket ticket) { background_.wait(ticket); }
  void wait_for_all() { background_.wait(last_); }

 private:
  parallel::Background& background_;
  int uncaught_at_start_;
  parallel::Background::Ticket last_ = 0;
};

}  // namespace stoa::trainer

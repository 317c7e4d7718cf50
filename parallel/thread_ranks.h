#pragma once
/// N ranks as threads of this process, for tests that start in milliseconds and run under ThreadSanitizer. They reach
/// each other's memory directly, so every kind of memory reduces at the same speed.
#include <functional>
#include <memory>
#include <string_view>
#include <vector>

#include "stoa/parallel/communicator.h"

namespace stoa::parallel {

/// Owns the group, those split from it and a communicator for each rank. Outlives the threads that use them and the
/// communicators that split() gave.
class ThreadRanks {
 public:
  ThreadRanks(int ranks, double deadline_s);
  ~ThreadRanks();
  ThreadRanks(const ThreadRanks&) = delete;
  ThreadRanks& operator=(const ThreadRanks&) = delete;

  /// To be used by one thread at a time.
  Communicator& communicator(int rank) { return *communicators_[static_cast<std::size_t>(rank)]; }

  /// Every rank that waits, or makes a call later, gets a CommError with the first reason given. Any thread.
  void break_group(std::string_view reason);

 private:
  class Meeting;
  class Rank;
  std::unique_ptr<Meeting> meeting_;
  std::vector<std::unique_ptr<Communicator>> communicators_;
};

/// Runs body on `ranks` threads, one a rank, and returns when all have ended. A rank whose body throws breaks the
/// group, so that the others end promptly with a CommError; the first failure is rethrown here.
void run_thread_ranks(int ranks, double deadline_s, const std::function<void(Communicator&)>& body);

}  // namespace stoa::parallel

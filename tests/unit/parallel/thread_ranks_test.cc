#include "stoa/parallel/thread_ranks.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <latch>
#include <thread>
#include <vector>

#include "stoa/base/error.h"

namespace stoa::parallel {
namespace {

// Rank 0 has given the call up and its values may be gone: nobody adds to them.
TEST(ThreadRanks, ARankThatComesAfterTheDeadlineOfAnotherTouchesNoMemory) {
  ThreadRanks ranks(2, 0.05);
  std::vector<float> first(65537, 1), second(65537, 2);
  EXPECT_THROW(ranks.communicator(0).all_reduce(std::span(first), ReduceOp::kSum, "gradients"), CommError);
  EXPECT_THROW(ranks.communicator(1).all_reduce(std::span(second), ReduceOp::kSum, "gradients"), CommError);
  EXPECT_EQ(std::count(first.begin(), first.end(), 1.0f), std::ssize(first));
  EXPECT_EQ(std::count(second.begin(), second.end(), 2.0f), std::ssize(second));
}

// The group breaks at any moment of calls under way. Each rank's values die as soon as its own call has ended: what
// others still read or wrote of them AddressSanitizer and ThreadSanitizer would see.
TEST(ThreadRanks, ABreakDuringACallLetsNoRankLeaveWhileOthersUseItsValues) {
  for (int round = 0; round < 65; ++round) {
    ThreadRanks ranks(3, 60);
    std::latch begun(3);
    const auto reduce = [&](int rank) {
      begun.count_down();
      EXPECT_THROW(
          while (true) {
            std::vector<float> values(257 * static_cast<std::size_t>(1 + round % 3), 1);
            ranks.communicator(rank).all_reduce(std::span(values), ReduceOp::kMax, "gradients");
          },
          CommError);
    };
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < 3; ++rank) threads.emplace_back(reduce, rank);
    begun.wait();
    ranks.break_group("a rank failed elsewhere");
  }
}

}  // namespace
}  // namespace stoa::parallel

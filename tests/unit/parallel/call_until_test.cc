#include "stoa/parallel/call_until.h"

#include <gtest/gtest.h>

#include <latch>
#include <memory>

namespace stoa::parallel {
namespace {

using Clock = std::chrono::steady_clock;

TEST(CallUntil, ReturnsWhatTheCallReturns) {
  EXPECT_EQ(call_until(Clock::now() + std::chrono::seconds(60), "MPI_Comm_dup", [] { return 33; }), 33);
}

TEST(CallUntil, ThrowsWhatTheCallThrows) {
  const auto call = []() -> int { throw DataError("no such colour"); };
  EXPECT_THROW(call_until(Clock::now() + std::chrono::seconds(60), "MPI_Comm_split", call), DataError);
}

TEST(CallUntil, TellsTheCallThatOutlivesTheDeadline) {
  struct Ends {
    std::latch may{1}, has{1};
  };
  const auto ends = std::make_shared<Ends>();
  try {
    call_until(Clock::now() + std::chrono::milliseconds(50), "MPI_Comm_split", [ends] {
      ends->may.wait();
      ends->has.count_down();
    });
    ADD_FAILURE() << "it waited for the call";
  } catch (const CommError& error) {
    EXPECT_EQ(std::string(error.what()).find("MPI_Comm_split waited for the other ranks until the deadline"), 0u)
        << error.what();
  }
  ends->may.count_down();
  ends->has.wait();
}

}  // namespace
}  // namespace stoa::parallel

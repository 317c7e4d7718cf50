#include "stoa/trainer/data/ordered_work.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <numeric>
#include <stdexcept>
#include <string>

namespace stoa::trainer {
namespace {

struct Number {
  int value = 0;
  int square = 0;
};

class OrderedWorkTest : public testing::TestWithParam<int> {};

TEST_P(OrderedWorkTest, ResultsComeInTheOrderOfTheStream) {
  constexpr int kItems = 1009;
  int produced = 0;
  std::vector<int> squares;
  std::vector<std::atomic<int>> done_by(static_cast<std::size_t>(GetParam()));
  work_in_order<Number>(
      GetParam(), [&](Number& item) { return (item.value = produced++) < kItems; },
      [&](int worker, Number& item) {
        ++done_by[static_cast<std::size_t>(worker)];
        item.square = item.value * item.value;
      },
      [&](Number& item) { squares.push_back(item.square); });
  ASSERT_EQ(squares.size(), static_cast<std::size_t>(kItems));
  for (int i = 0; i < kItems; ++i) EXPECT_EQ(squares[static_cast<std::size_t>(i)], i * i);
  EXPECT_EQ(std::accumulate(done_by.begin(), done_by.end(), 0), kItems);
}

TEST_P(OrderedWorkTest, NoMoreItemsLiveThanPromised) {
  std::atomic<int> alive{0};
  int most = 0, produced = 0;
  work_in_order<Number>(
      GetParam(),
      [&](Number&) {
        if (produced++ == 501) return false;
        most = std::max(most, ++alive);
        return true;
      },
      [](int, Number&) {}, [&](Number&) { --alive; });
  EXPECT_LE(most, 4 * GetParam() + 1) << "the item that is being consumed has left the line";
  EXPECT_EQ(alive, 0);
}

TEST_P(OrderedWorkTest, AFailureInAnyStageIsThrownAndEndsTheWork) {
  for (const std::string stage : {"produce", "work", "consume"}) {
    int produced = 0;
    std::vector<int> consumed;
    const auto fail_at_13 = [&](const char* here, const Number& item) {
      if (stage == here && item.value == 13) throw std::runtime_error(stage);
    };
    try {
      work_in_order<Number>(
          GetParam(),
          [&](Number& item) {
            item.value = produced++;
            fail_at_13("produce", item);
            return produced < 100'000;
          },
          [&](int, Number& item) { fail_at_13("work", item); },
          [&](Number& item) {
            fail_at_13("consume", item);
            consumed.push_back(item.value);
          });
      ADD_FAILURE() << stage << " did not throw";
    } catch (const std::runtime_error& failure) {
      EXPECT_EQ(failure.what(), stage);
    }
    EXPECT_LT(produced, 100'000);
    EXPECT_LE(consumed.size(), 13U);
    for (std::size_t i = 0; i < consumed.size(); ++i) EXPECT_EQ(consumed[i], static_cast<int>(i));
  }
}

TEST_P(OrderedWorkTest, AnEmptyStreamEnds) {
  work_in_order<Number>(
      GetParam(), [](Number&) { return false; }, [](int, Number&) { FAIL(); }, [](Number&) { FAIL(); });
}

/// While it lives no thread can be started: none has room for such a stack.
class NoMoreThreads {
 public:
  NoMoreThreads() {
    pthread_getattr_default_np(&usual_);
    pthread_attr_t vast = usual_;
    pthread_attr_setstacksize(&vast, std::size_t{1} << 48);
    pthread_setattr_default_np(&vast);
  }
  ~NoMoreThreads() { pthread_setattr_default_np(&usual_); }

 private:
  pthread_attr_t usual_;
};

TEST(OrderedWork, IsDoneByTheThreadsThatTheSystemGives) {
  const NoMoreThreads none;
  EXPECT_THROW(std::thread([] {}).join(), std::system_error);
  int produced = 0, sum = 0;
  work_in_order<Number>(
      7, [&](Number& item) { return (item.value = produced++) < 101; },
      [](int worker, Number& item) { item.square = worker == 0 ? item.value * item.value : -1; },
      [&](Number& item) { sum += item.square; });
  EXPECT_EQ(sum, 100 * 101 * 201 / 6);
}

INSTANTIATE_TEST_SUITE_P(Threads, OrderedWorkTest, testing::Values(1, 2, 3),
                         [](const auto& tested) { return std::to_string(tested.param) + "Threads"; });

}  // namespace
}  // namespace stoa::trainer

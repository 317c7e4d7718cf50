#include "stoa/base/processors.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <thread>

#include "stoa/base/error.h"

namespace stoa {
namespace {

using Processors = std::vector<int>;

TEST(Processors, AllowedOnesAreAscendingAndAtLeastOne) {
  const Processors allowed = allowed_processors();
  ASSERT_FALSE(allowed.empty());
  EXPECT_TRUE(std::is_sorted(allowed.begin(), allowed.end()));
  EXPECT_EQ(std::adjacent_find(allowed.begin(), allowed.end()), allowed.end());
}

TEST(Processors, SharesAreConsecutiveWithTheLargerOnesFirst) {
  const Processors allowed = {0, 2, 3, 5, 7, 8, 9};
  EXPECT_EQ(share_of_processors(allowed, 3, 0), (Processors{0, 2, 3}));
  EXPECT_EQ(share_of_processors(allowed, 3, 1), (Processors{5, 7}));
  EXPECT_EQ(share_of_processors(allowed, 3, 2), (Processors{8, 9}));
}

TEST(Processors, SharesTogetherAreAllProcessorsOnce) {
  Processors allowed(33);
  for (int i = 0; i < 33; ++i) allowed[static_cast<std::size_t>(i)] = 2 * i;
  for (const int sharers : {1, 2, 5, 32, 33}) {
    Processors together;
    for (int index = 0; index < sharers; ++index)
      for (const int processor : share_of_processors(allowed, sharers, index)) together.push_back(processor);
    EXPECT_EQ(together, allowed) << sharers << " sharers";
  }
}

TEST(Processors, MoreSharersThanProcessorsTakeTurns) {
  const Processors allowed = {4, 6};
  EXPECT_EQ(share_of_processors(allowed, 5, 0), Processors{4});
  EXPECT_EQ(share_of_processors(allowed, 5, 3), Processors{6});
  EXPECT_EQ(share_of_processors(allowed, 5, 4), Processors{4});
}

TEST(Processors, AThreadStaysWhereItWasPut) {
  const Processors last = {allowed_processors().back()};
  Processors seen;
  std::jthread([&] {
    stay_on_processors(last);
    seen = allowed_processors();
  }).join();
  EXPECT_EQ(seen, last);
}

TEST(Processors, AProcessorThatDoesNotExistIsRefusedByNumber) {
  std::string message;
  std::jthread([&] {
    try {
      stay_on_processors({100003});
    } catch (const ResourceError& error) {
      message = error.what();
    }
  }).join();
  EXPECT_NE(message.find("100003"), std::string::npos) << message;
}

}  // namespace
}  // namespace stoa

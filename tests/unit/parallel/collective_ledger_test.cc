#include "stoa/parallel/collective_ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace stoa::parallel {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(CollectiveLedger, NumbersCallsFromOne) {
  CollectiveLedger ledger;
  EXPECT_EQ(ledger.begin("barrier", "start", 0), 1u);
  EXPECT_EQ(ledger.begin("barrier", "end", 0), 2u);
  EXPECT_EQ(ledger.count(), 2u);
}

TEST(CollectiveLedger, TellsWhichCallHasNotFinished) {
  CollectiveLedger ledger;
  ledger.end(ledger.begin("all_reduce", "gradients", 4u << 20));
  ledger.begin("barrier", "saved", 0);
  EXPECT_THAT(ledger.describe(), StartsWith("#1 all_reduce gradients 4.00 MiB: finished after"));
  EXPECT_THAT(ledger.describe(), HasSubstr("#2 barrier saved 0 B: not finished since"));
}

TEST(CollectiveLedger, KeepsTheLastCallsOldestFirst) {
  CollectiveLedger ledger;
  for (int call = 0; call < 65; ++call) ledger.end(ledger.begin("barrier", "step", 0));
  EXPECT_THAT(ledger.describe(), StartsWith("#34 "));
  EXPECT_THAT(ledger.describe(), HasSubstr("#65 "));
}

TEST(CollectiveLedger, ALateEndDoesNotTouchTheCallThatTookItsPlace) {
  CollectiveLedger ledger;
  const std::uint64_t old = ledger.begin("barrier", "old", 0);
  for (std::size_t call = 0; call < CollectiveLedger::kKept; ++call) ledger.begin("barrier", "new", 0);
  ledger.end(old);
  EXPECT_THAT(ledger.describe(), Not(HasSubstr(": finished")));
}

TEST(CollectiveLedger, CutsLongNames) {
  CollectiveLedger ledger;
  ledger.begin(std::string(65, 'c'), std::string(65, 'w'), 0);
  EXPECT_THAT(ledger.describe(), StartsWith("#1 " + std::string(23, 'c') + " " + std::string(39, 'w') + " 0 B"));
}

}  // namespace
}  // namespace stoa::parallel

#include "stoa/cluster/price.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

#include "stoa/base/error.h"

namespace stoa::cluster {
namespace {

MachineSettings machine_at(double rate) {
  MachineSettings machine;
  machine.name = "test";
  machine.rate = {"core", rate, "EUR", "a test"};
  machine.power.pue = {1.25, "a test"};
  machine.grid_g_per_kwh = {200, "a test"};
  return machine;
}

UsageRecord usage(std::int64_t begin_ms, std::int64_t end_ms, std::int64_t resources) {
  return {.run = "run",
          .attempt = "1",
          .begin_unix_ms = begin_ms,
          .end_unix_ms = end_ms,
          .resources = resources,
          .energy_j = 7.2e6,
          .energy_source = "modelled"};
}

TEST(Price, TwoCoresForThreeMinutesAtOneCentAnHourCostATenthOfACent) {
  // 2 cores x 180 s = 360 core-seconds = 0.1 core-hours; x 0.01 EUR = 0.001 EUR.
  const Price result = price(usage(1'000, 181'000, 2), machine_at(0.01));
  EXPECT_EQ(result.resource_millis, 360'000);
  EXPECT_EQ(result.money_micros, 1'000);
  EXPECT_EQ(result.currency, "EUR");
  EXPECT_DOUBLE_EQ(result.resource_hours(), 0.1);
  EXPECT_DOUBLE_EQ(result.money(), 0.001);
}

TEST(Price, EnergyGoesFromJoulesThroughTheFacilityToGrams) {
  // 7.2 MJ = 2 kWh; x PUE 1.25 = 2.5 kWh; x 200 g/kWh = 500 g.
  const Price result = price(usage(0, 1'000, 1), machine_at(0.01));
  EXPECT_DOUBLE_EQ(result.energy_kwh, 2);
  EXPECT_DOUBLE_EQ(result.facility_kwh, 2.5);
  EXPECT_DOUBLE_EQ(result.co2e_g, 500);
  EXPECT_EQ(result.energy_source, "modelled");
}

TEST(Price, HalfAMillionthGoesToTheEvenNeighbour) {
  // At 3.6 a resource-hour one millisecond of one resource is exactly 1 millionth; at 1.8 it is one half.
  EXPECT_EQ(price(usage(0, 1, 1), machine_at(3.6)).money_micros, 1);
  EXPECT_EQ(price(usage(0, 1, 1), machine_at(1.8)).money_micros, 0);  // 0.5 -> 0
  EXPECT_EQ(price(usage(0, 3, 1), machine_at(1.8)).money_micros, 2);  // 1.5 -> 2
  EXPECT_EQ(price(usage(0, 5, 1), machine_at(1.8)).money_micros, 2);  // 2.5 -> 2
  EXPECT_EQ(price(usage(0, 7, 1), machine_at(1.8)).money_micros, 4);  // 3.5 -> 4
}

TEST(Price, JustBesideTheHalfGoesToTheNearest) {
  // 1 ms at 1.800000001: 0.50000000028 millionths; at 1.799999999 a little less than half.
  EXPECT_EQ(price(usage(0, 1, 1), machine_at(1.800000001)).money_micros, 1);
  EXPECT_EQ(price(usage(0, 3, 1), machine_at(1.799999999)).money_micros, 1);
}

TEST(Price, RatesBelowAMillionthStillCount) {
  // 1000 resources x 3600 s x 0.0000005 = 0.0005
  EXPECT_EQ(price(usage(0, 3'600'000, 1000), machine_at(5e-7)).money_micros, 500);
}

TEST(Price, AnAttemptOfNoTimeIsFree) {
  const Price result = price(usage(5, 5, 33), machine_at(0.01));
  EXPECT_EQ(result.resource_millis, 0);
  EXPECT_EQ(result.money_micros, 0);
}

TEST(Price, RefusesARecordThatEndsBeforeItBegins) {
  EXPECT_THROW(price(usage(2, 1, 1), machine_at(0.01)), ConfigError);
}

TEST(Price, RefusesARecordWithoutResourcesAndARateBelowZero) {
  EXPECT_THROW(price(usage(0, 1, 0), machine_at(0.01)), ConfigError);
  EXPECT_THROW(price(usage(0, 1, 1), machine_at(-0.01)), ConfigError);
  EXPECT_THROW(price(usage(0, 1, 1), machine_at(std::numeric_limits<double>::quiet_NaN())), ConfigError);
}

TEST(Price, RefusesWhatDoesNotFit64Bits) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(price(usage(0, kMost, 1), machine_at(0.01)).resource_millis, kMost);
  EXPECT_THROW(price(usage(0, kMost, 2), machine_at(0.01)), ConfigError);
  EXPECT_THROW(price(usage(std::numeric_limits<std::int64_t>::min(), kMost, 1), machine_at(0.01)), ConfigError);
  EXPECT_THROW(price(usage(0, kMost, 1), machine_at(1000)), ConfigError);
  const Price most = price(usage(0, kMost, 1), machine_at(0.01));
  EXPECT_THROW(most + most, ConfigError);
}

TEST(Price, TheSumDoesNotDependOnTheOrder) {
  std::vector<Price> prices;
  for (std::int64_t i : {1, 33, 65, 257, 1001}) prices.push_back(price(usage(0, i * 977, i), machine_at(0.0137)));
  const auto sum = [](const std::vector<Price>& parts) {
    Price total;
    for (const Price& part : parts) total = total + part;
    return total;
  };
  const Price expected = sum(prices);
  std::vector<std::size_t> order{0, 1, 2, 3, 4};
  do {
    std::vector<Price> permuted;
    for (const std::size_t at : order) permuted.push_back(prices[at]);
    const Price total = sum(permuted);
    ASSERT_EQ(total.resource_millis, expected.resource_millis);
    ASSERT_EQ(total.money_micros, expected.money_micros);
  } while (std::next_permutation(order.begin(), order.end()));
  EXPECT_EQ(expected.resource_millis, 977 * (1 + 33 * 33 + 65 * 65 + 257 * 257 + 1001 * 1001));
}

TEST(Price, SourcesThatDifferAreMixedAndCurrenciesThatDifferAreRefused) {
  const Price modelled = price(usage(0, 1, 1), machine_at(0.01));
  UsageRecord measured_usage = usage(0, 1, 1);
  measured_usage.energy_source = "measured (rapl)";
  MachineSettings in_dollars = machine_at(0.01);
  in_dollars.rate.currency = "USD";
  EXPECT_EQ((modelled + modelled).energy_source, "modelled");
  EXPECT_EQ((modelled + price(measured_usage, machine_at(0.01))).energy_source, "mixed");
  EXPECT_THROW(modelled + price(usage(0, 1, 1), in_dollars), ConfigError);
}

}  // namespace
}  // namespace stoa::cluster

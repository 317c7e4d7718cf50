#include "stoa/cluster/power.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "stoa/base/error.h"

namespace stoa::cluster {
namespace {

MachineSettings::Power power(double idle_w, double busy_w) {
  return {.idle_w = {idle_w, "a test"}, .busy_w = {busy_w, "a test"}, .pue = {1.2, "a test"}};
}

/// A tree as /sys/class/powercap has it, removed at the end.
class RaplTree : public testing::Test {
 protected:
  RaplTree() : root_(testing::TempDir() + "/rapl" + std::to_string(::getpid())) {}
  ~RaplTree() override { std::filesystem::remove_all(root_); }

  void set(const std::string& zone, const std::string& name, const std::string& energy_uj) {
    std::filesystem::create_directories(root_ / zone);
    std::ofstream(root_ / zone / "name") << name << '\n';
    std::ofstream(root_ / zone / "max_energy_range_uj") << 1'000'000 << '\n';
    std::ofstream(root_ / zone / "energy_uj") << energy_uj << '\n';
  }

  std::filesystem::path root_;
};

TEST(ModelledPower, TheRanksOfAFullNodeAddUpToTheNode) {
  FakeClock clock(1000);
  const double share = node_share(16, 64);
  const ModelledPower quarter(power(100, 500), share, clock);
  EXPECT_EQ(quarter.energy_j(), 0);
  clock.tick(33);
  EXPECT_DOUBLE_EQ(4 * quarter.energy_j(), 500 * 33);
}

TEST(ModelledPower, UtilisationLiesBetweenIdleAndBusy) {
  FakeClock clock;
  const ModelledPower half_busy(power(100, 500), 1, clock, 0.5);
  clock.tick(2);
  EXPECT_DOUBLE_EQ(half_busy.energy_j(), 2 * (100 + 200));
}

TEST(ModelledPower, MoreThreadsThanProcessorsAreTheWholeNode) {
  EXPECT_EQ(node_share(65, 33), 1);
  EXPECT_THROW(node_share(1, 0), ConfigError);
  EXPECT_THROW(node_share(0, 1), ConfigError);
}

TEST(ModelledPower, RefusesABusyNodeThatDrawsLessThanAnIdleOne) {
  FakeClock clock;
  EXPECT_THROW(ModelledPower(power(500, 100), 1, clock), ConfigError);
  EXPECT_THROW(ModelledPower(power(100, 500), 0, clock), ConfigError);
  EXPECT_THROW(ModelledPower(power(100, 500), 1, clock, 1.5), ConfigError);
}

TEST_F(RaplTree, CountsPackagesAndMemoryButNothingTwice) {
  set("intel-rapl:0", "package-0", "100");
  set("intel-rapl:1", "package-1", "200");
  set("intel-rapl:0:0", "core", "10");
  set("intel-rapl:0:1", "dram", "20");
  set("intel-rapl:2", "psys", "1000");
  auto meter = RaplEnergy::open(0.5, root_);
  ASSERT_TRUE(meter.has_value());
  EXPECT_EQ(meter->energy_j(), 0);

  set("intel-rapl:0", "package-0", "1100");  // + 1000
  set("intel-rapl:1", "package-1", "5200");  // + 5000
  set("intel-rapl:0:0", "core", "910");      // in package-0
  set("intel-rapl:0:1", "dram", "320");      // + 300
  set("intel-rapl:2", "psys", "900000");     // contains all of them
  EXPECT_DOUBLE_EQ(meter->energy_j(), 0.5 * 6300e-6);
  EXPECT_EQ(meter->source(), "measured (rapl)");
}

TEST_F(RaplTree, GoesOnWhereTheCounterWrapsAround) {
  set("intel-rapl:0", "package-0", "999000");
  auto meter = RaplEnergy::open(1, root_);
  ASSERT_TRUE(meter.has_value());
  set("intel-rapl:0", "package-0", "257");
  EXPECT_DOUBLE_EQ(meter->energy_j(), (1000 + 257) * 1e-6);
  set("intel-rapl:0", "package-0", "300");
  EXPECT_DOUBLE_EQ(meter->energy_j(), (1000 + 300) * 1e-6);
}

TEST_F(RaplTree, ACounterThatBecomesUnreadableStandsStill) {
  set("intel-rapl:0", "package-0", "0");
  auto meter = RaplEnergy::open(1, root_);
  ASSERT_TRUE(meter.has_value());
  set("intel-rapl:0", "package-0", "65");
  const double before_j = meter->energy_j();
  set("intel-rapl:0", "package-0", "not a number");
  EXPECT_EQ(meter->energy_j(), before_j);
}

TEST_F(RaplTree, IsNothingWhereNoCounterCanBeRead) {
  EXPECT_FALSE(RaplEnergy::open(1, root_).has_value());
  set("intel-rapl:0", "package-0", "not a number");
  set("cooling:0", "package-0", "1");
  EXPECT_FALSE(RaplEnergy::open(1, root_).has_value());
}

}  // namespace
}  // namespace stoa::cluster

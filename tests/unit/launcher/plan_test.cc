#include "stoa/launcher/plan.h"

#include <gtest/gtest.h>

#include "stoa/cluster/machine_file.h"

namespace stoa::launcher {
namespace {

const std::filesystem::path kConfigs = STOA_CONFIGS_DIRECTORY;

TEST(Plan, TimeIsFlopsByWhatTheResourcesReachAndThePriceFollows) {
  const Experiment experiment = read_experiment(kConfigs / "gpt2_124m.yaml");
  const cluster::MachineSettings machine = cluster::read_machine(kConfigs / "machines/juwels_booster.yaml");
  const Plan plan = launcher::plan(experiment, machine, {.utilisation = 0.5});
  EXPECT_EQ(plan.resources, 8);
  EXPECT_EQ(plan.tokens, 19073.0 * 512 * 1024);
  EXPECT_DOUBLE_EQ(*plan.seconds, plan.flops / (0.5 * 312e12 * 8));
  EXPECT_NEAR(plan.price->money(), *plan.seconds / 3600 * 8 * 1.5, 1e-3);
  EXPECT_NEAR(plan.price->energy_kwh, *plan.seconds * 2 * 1885 / 3.6e6, 1e-9);
  EXPECT_EQ(plan.checkpoint_bytes, 12.0 * 124439808);
}

TEST(Plan, SaysThatAPeakIsUnknownAndTakesAGivenOne) {
  const Experiment experiment = read_experiment(kConfigs / "quickstart.yaml");
  const cluster::MachineSettings machine = cluster::read_machine(kConfigs / "machines/local.yaml");
  const Plan unknown = plan(experiment, machine, {});
  EXPECT_FALSE(unknown.seconds);
  EXPECT_NE(plan_text(unknown, machine, {}).find("the peak of a core is measured at start; give it with --peak-gflops"),
            std::string::npos);
  EXPECT_TRUE(plan(experiment, machine, {.peak_gflops = 500}).price);
}

}  // namespace
}  // namespace stoa::launcher

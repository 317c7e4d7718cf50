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

/// Two processors and 23 GiB a node, cores charged.
class PlanMemory : public testing::Test {
 protected:
  Experiment read(std::vector<std::string> overrides) const {
    return read_experiment(kConfigs / "quickstart.yaml", overrides);
  }
  std::string text(const Experiment& experiment) const {
    return plan_text(plan(experiment, machine_, {.peak_gflops = 500}), machine_, {});
  }
  const cluster::MachineSettings machine_ = cluster::read_machine(kConfigs / "machines/local.yaml");
};

TEST_F(PlanMemory, IsWhatTheModelAllocatesWithTheBuffersOfTheTree) {
  const Experiment fast =
      read({"training.global_batch=16", "training.micro_batch=1", "parallel.data=2", "training.deterministic=false"});
  const Experiment tree =
      read({"training.global_batch=16", "training.micro_batch=1", "parallel.data=2", "training.deterministic=true"});
  const auto gradients = [&](const Experiment& experiment) {
    return rank_memory(experiment, place_ranks(experiment, machine_), {}).total(trainer::MemoryKind::kGradients);
  };
  const std::size_t buffer = gradients(fast);
  EXPECT_NEAR(double(gradients(tree)), 4.0 * double(buffer), 3.0 * (2 << 20))
      << "eight micro-batches of a rank: four open sums";
  EXPECT_EQ(plan(tree, machine_, {}).rank_bytes,
            static_cast<double>(rank_memory(tree, place_ranks(tree, machine_), {}).total()));
}

TEST_F(PlanMemory, TheLargestRankIsTheOneOfTheHeaviestStage) {
  const Experiment cut = read({"parallel.data=1", "parallel.pipeline=2", "parallel.stage_layers=[1, 3]"});
  const RankPlacement placement = place_ranks(cut, machine_);
  EXPECT_EQ(largest_rank(cut, placement), 1);
  const std::size_t light = rank_memory(cut, placement, {.pipeline = 0}).total();
  const std::size_t heavy = rank_memory(cut, placement, {.pipeline = 1}).total();
  EXPECT_LT(light, heavy);
  EXPECT_EQ(plan(cut, machine_, {}).rank_bytes, double(heavy));
}

TEST_F(PlanMemory, ShardingTakesWhatIsNotOwnedAway) {
  using trainer::MemoryKind;
  const auto memory = [&](const std::string& zero) {
    const Experiment experiment = read({"parallel.data=2", "parallel.zero=" + zero, "training.deterministic=false"});
    return rank_memory(experiment, place_ranks(experiment, machine_), {});
  };
  EXPECT_NEAR(double(memory("1").total(MemoryKind::kOptimizer)),
              0.5 * double(memory("0").total(MemoryKind::kOptimizer)),
              0.05 * double(memory("0").total(MemoryKind::kOptimizer)));
  EXPECT_LT(memory("2").total(MemoryKind::kGradients), 0.6 * double(memory("1").total(MemoryKind::kGradients)));
}

TEST_F(PlanMemory, PagesOfOtherRanksAreThoseOfItsNodeAlone) {
  const Experiment two = read({"parallel.data=2"});
  const auto neighbours = [&](std::int64_t ranks_per_node) {
    return rank_memory(two, {.ranks = 2, .ranks_per_node = ranks_per_node}, {}).total(trainer::MemoryKind::kNeighbours);
  };
  EXPECT_EQ(neighbours(1), 0U);
  EXPECT_GT(neighbours(2), 2.0 * double(parameter_count(two.model))) << "half of the fp32 gradients";
}

TEST(PlanParallel, APipelineIsIdleByItsBubbleWhereStagesAreAlike) {
  // p = 4 stages, m = 8 micro-batches: (p - 1) / (m + p - 1), without a head to speak of.
  const Experiment alike = read_experiment(
      kConfigs / "llama_1b.yaml",
      std::vector<std::string>{"parallel.data=1", "parallel.pipeline=4", "model.layers=64", "model.vocabulary_size=257",
                               "training.global_batch=8", "training.micro_batch=1", "parallel.schedule=1f1b"});
  EXPECT_NEAR(idle_share(alike), 3.0 / 11, 0.002);
}

TEST(PlanParallel, TimeIncludesTheIdlePart) {
  const cluster::MachineSettings machine = cluster::read_machine(kConfigs / "machines/juwels_booster.yaml");
  const Experiment cut =
      read_experiment(kConfigs / "gpt2_124m.yaml", std::vector<std::string>{"parallel.data=2", "parallel.pipeline=4"});
  const Plan planned = plan(cut, machine, {.utilisation = 0.5});
  EXPECT_GT(planned.idle, 0.05);
  EXPECT_DOUBLE_EQ(*planned.seconds, planned.flops / (0.5 * (1 - planned.idle) * 312e12 * 8));
}

TEST(PlanParallel, TrafficOfTheDataAxisIsTwiceTheGradientsLessTheOwnPart) {
  const Experiment experiment = read_experiment(kConfigs / "gpt2_124m.yaml");
  const StepTraffic traffic = step_traffic(experiment);
  const double gradients = 4.0 * double(parameter_count(experiment.model) + 50257 * 768);  // both uses of the embedding
  EXPECT_NEAR(traffic.data, 2 * gradients * 7 / 8, 0.01 * gradients);
  EXPECT_EQ(traffic.tensor, 0);
  EXPECT_EQ(traffic.pipeline, 0);
}

TEST_F(PlanMemory, WarnsWhereTheRanksOfANodeNeedMoreThanItHas) {
  EXPECT_EQ(text(read({})).find("Warning"), std::string::npos);
  const std::string large = text(read({"model.layers=400", "model.width=2048", "model.head_width=64"}));
  EXPECT_NE(large.find("but a node of local has 23.0 GiB"), std::string::npos) << large;
}

TEST_F(PlanMemory, RanksFillANodeByTheirThreads) {
  EXPECT_EQ(place_ranks(read({"parallel.data=2", "parallel.threads_per_rank=0"}), machine_).threads_per_rank, 1);
  EXPECT_EQ(place_ranks(read({"parallel.data=1", "parallel.threads_per_rank=0"}), machine_).threads_per_rank, 2);
  const RankPlacement wide = place_ranks(read({"parallel.data=2", "parallel.threads_per_rank=2"}), machine_);
  EXPECT_EQ(wide.ranks_per_node, 1);
  const cluster::MachineSettings gpus = cluster::read_machine(kConfigs / "machines/marenostrum5_acc.yaml");
  const RankPlacement many = place_ranks(read_experiment(kConfigs / "llama_70b.yaml"), gpus);
  EXPECT_EQ(many.ranks_per_node, 4);
  EXPECT_EQ(many.threads_per_rank, 20);
}

}  // namespace
}  // namespace stoa::launcher

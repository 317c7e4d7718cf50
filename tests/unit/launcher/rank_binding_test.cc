#include "stoa/launcher/rank_binding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <map>

namespace stoa::launcher {
namespace {

using testing::ElementsAre;

/// A node of two NUMA nodes with four processors and a network card each.
class BindingTest : public testing::Test {
 protected:
  BindingTest() : sys_(testing::TempDir() + "/sys" + std::to_string(::getpid())) {
    for (int processor = 0; processor < 8; ++processor)
      std::filesystem::create_directories(
          sys_ / ("devices/system/cpu/cpu" + std::to_string(processor) + "/node" + std::to_string(processor / 4)));
    for (int card = 0; card < 2; ++card) {
      const auto device = sys_ / ("class/infiniband/mlx5_" + std::to_string(card)) / "device";
      std::filesystem::create_directories(device);
      std::ofstream(device / "numa_node") << card << "\n";
    }
  }
  ~BindingTest() override { std::filesystem::remove_all(sys_); }

  RankBinding bind(std::map<std::string, std::string> environment, const std::vector<int>& allowed) const {
    return choose_binding([&](const char* name) { return environment[name]; }, allowed, sys_);
  }

  std::filesystem::path sys_;
};

TEST_F(BindingTest, UnderSrunEachRankTakesItsPartItsGpuAndTheCardBesideIt) {
  const auto rank =
      bind({{"SLURM_LOCALID", "1"}, {"SLURM_STEP_TASKS_PER_NODE", "2(x3)"}, {"CUDA_VISIBLE_DEVICES", "2,3"}},
           {0, 1, 2, 3, 4, 5, 6, 7});
  EXPECT_THAT(rank.processors, ElementsAre(4, 5, 6, 7));
  EXPECT_EQ(rank.gpu, "3");
  EXPECT_THAT(rank.fabric_cards, ElementsAre("mlx5_1"));
  EXPECT_EQ(to_text(rank), "local rank 1 of 2, processors 4-7, GPU 3, network mlx5_1");
}

TEST_F(BindingTest, UnderMpirunWithoutGpus) {
  const auto rank = bind({{"OMPI_COMM_WORLD_LOCAL_RANK", "0"}, {"OMPI_COMM_WORLD_LOCAL_SIZE", "3"}}, {0, 2, 5});
  EXPECT_EQ(to_text(rank), "local rank 0 of 3, processor 0, network mlx5_0");
}

TEST_F(BindingTest, AloneItTakesAll) {
  std::filesystem::remove_all(sys_ / "class");
  EXPECT_EQ(to_text(bind({}, {0, 1, 2, 5})), "local rank 0 of 1, processors 0-2,5");
}

TEST_F(BindingTest, MoreRanksThanGpusShareThem) {
  const auto rank =
      bind({{"SLURM_LOCALID", "2"}, {"SLURM_STEP_TASKS_PER_NODE", "4"}, {"SLURM_STEP_GPUS", "0,1"}}, {0, 1});
  EXPECT_EQ(rank.gpu, "0");
}

}  // namespace
}  // namespace stoa::launcher

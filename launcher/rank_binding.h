#pragma once
/// What of its node a rank takes: processors, a GPU, the network cards near them. Chosen before MPI starts, from what
/// the launcher's environment and the system tell.
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace stoa::launcher {

struct RankBinding {
  int local_rank = 0;
  int local_ranks = 1;
  std::vector<int> processors;
  std::string gpu;                        ///< as CUDA_VISIBLE_DEVICES names it; empty: none was given
  std::vector<std::string> fabric_cards;  ///< InfiniBand devices of the processors' NUMA node; empty: no choice to make
};

/// `variable`: the environment, "" where a name is not set. `allowed`: processors this process may use; ranks to which
/// the launcher gave the same ones share them. `sys`: /sys.
RankBinding choose_binding(const std::function<std::string(const char*)>& variable, const std::vector<int>& allowed,
                           const std::filesystem::path& sys);

/// "local rank 1 of 4, processors 4-7, GPU 1"
std::string to_text(const RankBinding& binding);

/// Tells UCX of the cards, unless somebody chose already.
void use_fabric_cards(const RankBinding& binding);

}  // namespace stoa::launcher

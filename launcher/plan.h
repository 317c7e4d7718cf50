#pragma once
/// What an experiment will need and cost before anything runs: arithmetic on its settings and its machine's figures.
#include <cstdint>
#include <optional>
#include <string>

#include "stoa/cluster/machine.h"
#include "stoa/cluster/price.h"
#include "stoa/launcher/experiment.h"
#include "stoa/launcher/plan_parallel.h"
#include "stoa/trainer/loop/training_step.h"

namespace stoa::launcher {

struct PlanAssumptions {
  double utilisation = 0.4;                              ///< model FLOPs reached / peak
  double peak_gflops = 0;                                ///< of one resource; 0: the machine's figure
  std::string peak_source = "given with --peak-gflops";  ///< of peak_gflops, where that is not 0
};

/// Where ranks stand: an accelerator each, or as many as a node has processors for.
struct RankPlacement {
  std::int64_t ranks = 1;
  std::int64_t ranks_per_node = 1;
  int threads_per_rank = 1;
  trainer::cpu::Isa isa = trainer::cpu::Isa::kAvx512Bf16;  ///< of cores: this processor's
};

RankPlacement place_ranks(const Experiment& experiment, const cluster::MachineSettings& machine);

trainer::StepSettings step_settings(const Experiment& experiment);

/// What one rank takes of its node, without a run, its program and libraries included.
trainer::MemoryTable rank_memory(const Experiment& experiment, const RankPlacement& placement,
                                 const parallel::MeshCoordinate& at);
/// The rank with the largest total; the first of equal ones.
int largest_rank(const Experiment& experiment, const RankPlacement& placement);

struct Plan {
  std::int64_t parameters = 0;
  double tokens = 0;
  double flops = 0;
  std::int64_t resources = 0;  ///< cores or accelerators held
  std::string resource;
  RankPlacement placement;
  double rank_bytes = 0;  ///< total of the largest rank's memory
  parallel::MeshSize mesh;
  double idle = 0;  ///< part of the time in which a pipeline's stages wait
  StepTraffic traffic;
  double checkpoint_bytes = 0;         ///< one: fp32 parameters and both moments
  std::int64_t kept_checkpoints = 0;   ///< the most that the rules keep at once, and the one being written
  std::int64_t checkpoint_inodes = 0;  ///< of one: its folder and files
  double peak_gflops = 0;              ///< used
  std::string peak_source;
  std::optional<double> seconds;  ///< nothing where no peak is known
  std::optional<cluster::Price> price;
};

Plan plan(const Experiment& experiment, const cluster::MachineSettings& machine, const PlanAssumptions& assumptions);
std::string plan_text(const Plan& plan, const cluster::MachineSettings& machine, const PlanAssumptions& assumptions);

}  // namespace stoa::launcher

#pragma once
/// What each rank of a training run takes of its node, without a run: every part asks the code that allocates it. Pure.
///
/// Not in it: program and libraries (launcher/runtime_memory.h), and pages of data sets, which are mapped from their
/// files and which the system takes back when it wants to.
#include <cstdint>
#include <limits>

#include "stoa/parallel/mesh.h"
#include "stoa/trainer/loop/training_step.h"
#include "stoa/trainer/model/memory_plan.h"

namespace stoa::trainer {

struct RankPlace {
  parallel::MeshCoordinate at;
  int threads = 1;
  int ranks_per_node = 1;  ///< neighbouring ranks share a node
  DocumentRules documents;
  cpu::Isa isa = cpu::Isa::kAvx512Bf16;
  std::int64_t staging_bytes = std::numeric_limits<std::int64_t>::max();  ///< the most that a save copies aside
};

/// Parts by kind. kNeighbours are those pages of other ranks that its sums, gathers and messages touch, because groups
/// on a node work in memory they share: counted as resident in each process, though the node holds them once.
MemoryTable plan_rank(const StepSettings& settings, const RankPlace& place);

/// What a rank's stage has to keep for its micro-batches: activations in flight at most, of all its chunks.
int activations_in_flight(const StepSettings& settings, int stage);

}  // namespace stoa::trainer

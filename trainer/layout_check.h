#pragma once
/// Which layouts of a run over ranks can work: data x pipeline x tensor, chunks, schedule, what is cut over data ranks,
/// and the batch. Pure arithmetic, so that `stoa validate` refuses before a job waits in a queue.
#include <cstdint>
#include <optional>
#include <string>

#include "stoa/trainer/settings.h"

namespace stoa::trainer {

/// "data 4 x pipeline 2 x tensor 2"
std::string mesh_text(const parallel::MeshSize& mesh);

/// The first thing that cannot work, with its arithmetic, the nearest values of one key that can, and the nearest mesh
/// of as many ranks with which all of it works, where there is one.
std::optional<Impossible> check_layout(const ModelSettings& resolved_model, const TrainingSettings& training,
                                       const ParallelSettings& parallel);

/// The same for a layout that works, but not on as many ranks as a job has.
std::optional<Impossible> check_ranks(const ModelSettings& resolved_model, const TrainingSettings& training,
                                      const ParallelSettings& parallel, std::int64_t job_ranks);

/// The mesh of so many ranks nearest to the one in `parallel` with which everything else works.
std::optional<parallel::MeshSize> nearest_mesh(const ModelSettings& resolved_model, const TrainingSettings& training,
                                               const ParallelSettings& parallel, std::int64_t ranks);

}  // namespace stoa::trainer

#include "stoa/launcher/memory_text.h"

#include <fmt/format.h>

#include <array>

#include "stoa/trainer/loop/rank_memory.h"

namespace stoa::launcher {
namespace {

using trainer::MemoryKind;

struct Column {
  const char* title;
  MemoryKind kind;
};
constexpr std::array kColumns = {Column{"parameters", MemoryKind::kParameters},
                                 Column{"gradients", MemoryKind::kGradients},
                                 Column{"optimizer", MemoryKind::kOptimizer},
                                 Column{"activations", MemoryKind::kActivations},
                                 Column{"communication", MemoryKind::kCommunication},
                                 Column{"workspace", MemoryKind::kWorkspace},
                                 Column{"runtime", MemoryKind::kRuntime}};

std::string place_text(const parallel::MeshCoordinate& at, const parallel::MeshSize& size) {
  return fmt::format("stage {} of {}, data {} of {}, tensor {} of {}", at.pipeline, size.pipeline, at.data, size.data,
                     at.tensor, size.tensor);
}

std::int64_t layers_of(const Experiment& experiment, const parallel::MeshCoordinate& at) {
  std::int64_t layers = 0;
  for (const parallel::Slice& chunk : trainer::model_share(experiment.model, experiment.parallel, at).chunks)
    layers += chunk.size();
  return layers;
}

std::string stages_text(const Experiment& experiment, const RankPlacement& placement, parallel::MeshCoordinate at) {
  std::string text = fmt::format("{:>5} {:>6} {:>9}", "stage", "layers", "in flight");
  for (const Column& column : kColumns) text += fmt::format(" {:>13}", column.title);
  text += fmt::format(" {:>13} {:>13}\n", "total", "resident");
  for (at.pipeline = 0; at.pipeline < experiment.parallel.mesh.pipeline; ++at.pipeline) {
    const trainer::MemoryTable table = rank_memory(experiment, placement, at);
    text += fmt::format("{:>5} {:>6} {:>9}", at.pipeline, layers_of(experiment, at),
                        activations_in_flight(step_settings(experiment), at.pipeline));
    for (const Column& column : kColumns) text += fmt::format(" {:>13}", trainer::format_mib(table.total(column.kind)));
    text += fmt::format(" {:>13} {:>13}\n", trainer::format_mib(table.total()), trainer::format_mib(table.resident()));
  }
  return text;
}

}  // namespace

std::string memory_text(const Experiment& experiment, const RankPlacement& placement, int rank) {
  const parallel::MeshSize& mesh = experiment.parallel.mesh;
  const parallel::MeshCoordinate at = mesh_coordinate(mesh, rank);
  const trainer::MemoryTable table = rank_memory(experiment, placement, at);
  std::string text = fmt::format("Memory of rank {}: {}\n", rank, place_text(at, mesh)) + table.describe();
  if (const std::size_t shared = table.total(MemoryKind::kNeighbours); shared > 0)
    text += fmt::format(
        "Ranks of a node work in memory that they share: {} MiB of other ranks are resident in this process too, and "
        "the node holds them once\n",
        trainer::format_mib(shared));
  if (mesh.pipeline > 1)
    text += fmt::format("\nStages in MiB, data {} and tensor {} of each\n{}", at.data, at.tensor,
                        stages_text(experiment, placement, at));
  return text;
}

}  // namespace stoa::launcher

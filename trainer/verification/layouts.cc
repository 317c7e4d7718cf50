#include "stoa/trainer/verification/layouts.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <set>

#include "stoa/trainer/layout_check.h"
#include "stoa/trainer/verification/pairwise.h"
#include "stoa/trainer/verification/small_model.h"

namespace stoa::trainer {
namespace {

using parallel::PipelineKind;

constexpr std::array kSchedules = {PipelineKind::kOneForwardOneBackward, PipelineKind::kGpipe,
                                   PipelineKind::kInterleaved, PipelineKind::kZeroBubble};
constexpr std::array kStages = {Zero::kNone, Zero::kOptimizer, Zero::kGradients};
constexpr std::array kRecomputes = {Recompute::kNone, Recompute::kSelective, Recompute::kFull};

std::vector<int> sizes_with(int own) {
  std::set<int> sizes = {1, 2, 3, 4, kMostVerifiedRanks, own};
  return {sizes.begin(), sizes.end()};
}

/// What each axis of the combinations may be.
struct Axes {
  std::vector<int> data, pipeline, tensor;

  explicit Axes(const parallel::MeshSize& own)
      : data(sizes_with(own.data)), pipeline(sizes_with(own.pipeline)), tensor(sizes_with(own.tensor)) {}

  std::vector<int> sizes() const {
    return {int(data.size()),       int(pipeline.size()), int(tensor.size()),
            int(kSchedules.size()), int(kStages.size()),  int(kRecomputes.size())};
  }

  StepSettings settings(const StepSettings& base, const Combination& chosen) const {
    StepSettings settings = base;
    ParallelSettings& parallel = settings.parallel;
    parallel.mesh = {data[std::size_t(chosen[0])], pipeline[std::size_t(chosen[1])], tensor[std::size_t(chosen[2])]};
    parallel.schedule = kSchedules[std::size_t(chosen[3])];
    parallel.chunks_per_stage = parallel.schedule == PipelineKind::kInterleaved ? 2 : 1;
    parallel.stage_layers.clear();
    parallel.zero = kStages[std::size_t(chosen[4])];
    settings.training.recompute = kRecomputes[std::size_t(chosen[5])];
    return settings;
  }
};

bool is_worth_it(const StepSettings& settings) {
  const ParallelSettings& parallel = settings.parallel;
  if (parallel.mesh.ranks() > kMostVerifiedRanks) return false;
  if (parallel.mesh.data == 1 && parallel.zero != Zero::kNone) return false;
  if (parallel.mesh.pipeline == 1 && parallel.schedule != PipelineKind::kOneForwardOneBackward) return false;
  return !check_layout(settings.model, settings.training, parallel);
}

}  // namespace

std::vector<StepSettings> layouts_of(const StepSettings& settings, LayoutChoice choice) {
  const Axes axes(settings.parallel.mesh);
  std::vector<Combination> chosen = full_cross(
      axes.sizes(), [&](const Combination& combination) { return is_worth_it(axes.settings(settings, combination)); });
  if (choice == LayoutChoice::kPairwise) chosen = pairwise_cover(chosen);
  std::vector<StepSettings> layouts = {settings};
  for (const Combination& combination : chosen) {
    StepSettings layout = axes.settings(settings, combination);
    if (layout_text(layout) != layout_text(settings)) layouts.push_back(std::move(layout));
  }
  return layouts;
}

std::string_view recompute_name(Recompute recompute) {
  switch (recompute) {
    case Recompute::kNone:
      return "none";
    case Recompute::kSelective:
      return "selective";
    case Recompute::kFull:
      return "full";
  }
  return "";
}

std::string schedule_text(const ParallelSettings& parallel) {
  const std::string name(pipeline_kind_name(parallel.schedule));
  return parallel.chunks_per_stage > 1 ? fmt::format("{} x {}", name, parallel.chunks_per_stage) : name;
}

std::string layout_text(const StepSettings& settings) {
  const ParallelSettings& parallel = settings.parallel;
  const std::string layers =
      parallel.stage_layers.empty() ? "" : fmt::format(" of {} layers", fmt::join(parallel.stage_layers, " + "));
  return fmt::format("{}{}, zero {}, {}, recompute {}", mesh_text(parallel.mesh), layers, int(parallel.zero),
                     schedule_text(parallel), recompute_name(settings.training.recompute));
}

}  // namespace stoa::trainer

/// A checkpoint that one layout saved, on another one: the same bits, and the same training.
#include <gmock/gmock.h>

#include <cmath>

#include "stoa/checkpoint/difference.h"
#include "stoa/tests/unit/trainer/loop_run.h"

namespace stoa::trainer {
namespace {

constexpr std::int64_t kSavedAt = 5, kSteps = 9;

ParallelSettings layout(int data, int tensor, int pipeline, Zero zero,
                        parallel::PipelineKind schedule = parallel::PipelineKind::kOneForwardOneBackward) {
  ParallelSettings settings;
  settings.mesh = {.data = data, .pipeline = pipeline, .tensor = tensor};
  settings.zero = zero;
  settings.schedule = schedule;
  if (schedule == parallel::PipelineKind::kInterleaved) settings.chunks_per_stage = 2;
  return settings;
}

struct Pair {
  const char* name;
  ParallelSettings saved, loaded;
};

/// Three ranks share twelve samples evenly.
const ParallelSettings kOne = layout(1, 1, 1, Zero::kNone), kCube = layout(2, 2, 2, Zero::kGradients),
                       kThree = layout(3, 1, 1, Zero::kNone), kSixteen = layout(4, 2, 2, Zero::kOptimizer);

class LoopPairs : public LoopThreadRanksTraining {
 protected:
  LoopPairs() { settings_.training.steps = kSteps; }

  /// Until it is done, or stopped by a signal at the step of the checkpoint.
  void train(const ParallelSettings& on, const std::string& name, std::int64_t until = kSteps) {
    stop_after_ = until == kSteps ? -1 : until;
    for (const LoopOutcome& outcome : attempt(on, name)) EXPECT_EQ(outcome.step, until);
  }

  /// What that layout holds after loading, saved once more by it.
  std::filesystem::path saved_again(const ParallelSettings& on) {
    settings_.parallel = on;
    parallel::run_thread_ranks(on.mesh.ranks(), kLoopDeadline_s, [&](parallel::Communicator& group) {
      cpu::Queue queue(loop_queue());
      Log log(stderr, "test", LogLevel::kError);
      TrainingStep passes(queue, {settings_.model, settings_.training, on, settings_.optimizer},
                          parallel::make_mesh_groups(group, on.mesh));
      TrainingState& state = passes.state();
      const bool cut = state.plan().zero != Zero::kNone;
      const auto ranges = cut ? state.owned() : row_ranges(passes.table(), on.mesh.data, passes.groups().at.data);
      std::vector<checkpoint::PieceToLoad> load;
      std::vector<checkpoint::PieceToSave> save;
      for (const auto& [prefix, values] :
           {std::pair("parameters", state.masters()), std::pair("adam_m", state.first_moments()),
            std::pair("adam_v", state.second_moments())}) {
        for (auto& piece : pieces_to_load(passes.table(), prefix, values, state.owned()))
          load.push_back(std::move(piece));
        for (auto& piece : pieces_to_save(passes.table(), prefix, values, ranges)) save.push_back(std::move(piece));
      }
      const auto loaded = checkpoint::CheckpointStore(run_ / "checkpoints", "reader", log).load_newest(load, group);
      checkpoint::CheckpointStore(run_ / "again", "writer", log).save(*loaded, save, group, {1});
    });
    return run_ / "again" / "step-00000005";
  }

  /// Trains `saved` to the checkpoint and `loaded` to the end.
  std::map<std::string, Json> across(const Pair& pair) {
    train(pair.saved, "saved", kSavedAt);
    std::string differences;
    checkpoint::compare_checkpoints(run_ / "checkpoints/step-00000005", saved_again(pair.loaded),
                                    [&](const auto& each) {
                                      if (each.kind != checkpoint::TensorDifference::Kind::kSame)
                                        differences += each.name + " ";
                                    });
    EXPECT_EQ(differences, "");
    train(pair.loaded, "loaded");
    const std::vector<Json> steps = lines("step");
    EXPECT_EQ(steps.size(), std::size_t(kSteps)) << "none repeated, none skipped";
    return numbers();
  }

  std::map<std::string, Json> never_interrupted() {
    begin_anew();
    train(kOne, "one");
    return numbers();
  }
};

class LoopPairsSameBits : public LoopPairs, public testing::WithParamInterface<Pair> {};

TEST_P(LoopPairsSameBits, GoOnToTheLastBit) {
  const auto run = across(GetParam());
  for (const auto& [what, value] : never_interrupted()) {
    if (!what.starts_with("step")) continue;
    EXPECT_EQ(run.at(what), value) << what;
  }
}

const Pair kSameBits[] = {
    {"StagesAndZeroToOne", layout(2, 1, 2, Zero::kGradients), kOne},
    {"StagesAndZeroToEight", layout(2, 1, 2, Zero::kGradients), layout(8, 1, 1, Zero::kOptimizer)},
    {"OneToEight", kOne, layout(4, 1, 2, Zero::kOptimizer)},
    {"EightToFourStages", layout(8, 1, 1, Zero::kGradients), layout(1, 1, 4, Zero::kNone)},
    {"ZeroBubbleToZero", layout(1, 1, 4, Zero::kNone, parallel::PipelineKind::kZeroBubble),
     layout(2, 1, 1, Zero::kGradients)},
    {"ZeroToInterleaved", layout(4, 1, 1, Zero::kGradients),
     layout(2, 1, 2, Zero::kNone, parallel::PipelineKind::kInterleaved)},
};
INSTANTIATE_TEST_SUITE_P(Pairs, LoopPairsSameBits, testing::ValuesIn(kSameBits),
                         [](const auto& each) { return each.param.name; });

class LoopPairsRounding : public LoopPairs, public testing::WithParamInterface<Pair> {
 protected:
  LoopPairsRounding() {
    settings_.training.deterministic = false;
    settings_.training.global_batch = 12;
  }
};

// On the tensor axis, and on three data ranks, sums are taken in another order: 1e-7 of a loss, of which AdamW, which
// divides each gradient by its own size, makes more from step to step. Other samples would change a loss by 1e-2 of it.
TEST_P(LoopPairsRounding, GoOnWithinRounding) {
  const auto run = across(GetParam());
  for (const auto& [what, value] : never_interrupted()) {
    if (!what.starts_with("step") || !what.ends_with(" loss")) continue;
    const auto loss = value.template get<double>();
    EXPECT_NEAR(run.at(what).template get<double>(), loss, 1e-4 * loss) << what;
  }
}

const Pair kRounding[] = {
    {"CubeToOne", kCube, kOne},
    {"CubeToThree", kCube, kThree},
    {"CubeToSixteen", kCube, kSixteen},
    {"CubeToTensor", kCube, layout(1, 2, 1, Zero::kNone)},
    {"OneToCube", kOne, kCube},
    {"ThreeToCube", kThree, kCube},
    {"SixteenToCube", kSixteen, kCube},
    {"SixteenToThree", kSixteen, layout(3, 1, 1, Zero::kOptimizer)},
    {"ThreeToTensorStages", layout(3, 1, 1, Zero::kGradients), layout(1, 2, 2, Zero::kNone)},
    {"FourStagesToThree", layout(1, 1, 4, Zero::kNone), layout(3, 1, 1, Zero::kGradients)},
    {"TensorToFourStages", layout(1, 2, 1, Zero::kNone), layout(1, 1, 4, Zero::kNone)},
    {"TensorToDataTensor", layout(1, 2, 1, Zero::kNone), layout(2, 2, 1, Zero::kOptimizer)},
};
INSTANTIATE_TEST_SUITE_P(Pairs, LoopPairsRounding, testing::ValuesIn(kRounding),
                         [](const auto& each) { return each.param.name; });

}  // namespace
}  // namespace stoa::trainer

#include "stoa/launcher/trained_model.h"

#include "stoa/base/error.h"
#include "stoa/base/processors.h"
#include "stoa/base/units.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/trainer/loop/starting_point.h"
#include "stoa/trainer/model/parameter_pieces.h"

namespace stoa::launcher {
namespace {}  // namespace

TrainedModel::TrainedModel(const ModelChoice& choice, Log& log)
    : experiment_(read_experiment(choice.experiment_file, choice.overrides)),
      tokenizer_(load_tokenizer(experiment_)),
      queue_({.threads = threads_or_all(choice.threads)}),
      table_(trainer::make_parameter_table(experiment_.model)),
      parameters_(table_, experiment_.training.precision) {
  const std::vector<std::filesystem::path> folders = checkpoints_to_try(experiment_, choice);
  for (std::size_t i = 0; checkpoint_.empty(); ++i) {
    try {
      load(folders[i], log);
    } catch (const CheckpointError& damage) {
      if (i + 1 == folders.size()) throw;
      log.warning("{}; trying the checkpoint before it", damage.what());
    }
  }
  parameters_.refresh_copies(queue_);
  log.info("{}: {} parameters after step {}", checkpoint_.string(),
           format_count(double(trainer::parameter_count(experiment_.model))), step_);
}

void TrainedModel::load(const std::filesystem::path& folder, Log& log) {
  // The store makes its directory where that is missing: here it is not.
  checkpoint::CheckpointStore store(std::filesystem::absolute(folder).parent_path(), "reader", log);
  const Json saved = store.read_state(folder).state;
  trainer::require_startable(saved, experiment_.model, folder.string());
  const auto pieces = trainer::pieces_to_load(table_, "parameters", parameters_.masters());
  const checkpoint::CheckpointState state = store.load(folder, pieces);
  require_tokenizer(state.state, tokenizer_, folder, experiment_.data.tokenizer);
  step_ = state.step;
  checkpoint_ = folder;
}

}  // namespace stoa::launcher

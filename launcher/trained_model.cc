#include "stoa/launcher/trained_model.h"

#include "stoa/base/error.h"
#include "stoa/base/processors.h"
#include "stoa/base/units.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/checkpoint/publication.h"
#include "stoa/trainer/model/identity.h"
#include "stoa/trainer/model/parameter_pieces.h"

namespace stoa::launcher {
namespace {

trainer::Tokenizer load_tokenizer(const Experiment& experiment) {
  if (experiment.data.tokenizer.empty())
    throw DataError("data.tokenizer is empty: text cannot be turned into tokens without it");
  trainer::Tokenizer tokenizer = trainer::Tokenizer::load(experiment.data.tokenizer);
  if (tokenizer.vocabulary_size() != experiment.model.vocabulary_size)
    throw DataError("{}: the tokenizer has {} entries, but model.vocabulary_size is {}", experiment.data.tokenizer,
                    tokenizer.vocabulary_size(), experiment.model.vocabulary_size);
  return tokenizer;
}

int threads_of(int asked) { return asked > 0 ? asked : static_cast<int>(allowed_processors().size()); }

/// A model that meets another tokenizer's numbers writes and judges nonsense without any error.
void require_tokenizer(const checkpoint::CheckpointState& state, const trainer::Tokenizer& tokenizer,
                       const std::filesystem::path& folder, const std::string& tokenizer_file) {
  static const Json::json_pointer kFingerprint("/identity/data/tokenizer");
  if (!state.state.is_object() || !state.state.contains(kFingerprint)) return;
  const Json& trained_with = state.state.at(kFingerprint);
  if (trained_with.is_string() && !trained_with.get<std::string>().empty() && trained_with != tokenizer.fingerprint())
    throw DataError("{}: this is not the tokenizer that {} was trained with (fingerprint {}, then {})", tokenizer_file,
                    folder.string(), tokenizer.fingerprint(), trained_with.get<std::string>());
}

}  // namespace

TrainedModel::TrainedModel(const ModelChoice& choice, Log& log)
    : experiment_(read_experiment(choice.experiment_file, choice.overrides)),
      tokenizer_(load_tokenizer(experiment_)),
      queue_({.threads = threads_of(choice.threads)}),
      table_(trainer::make_parameter_table(experiment_.model)),
      parameters_(table_, experiment_.training.precision) {
  if (!choice.checkpoint.empty()) {
    load(choice.checkpoint, log);
  } else {
    const std::filesystem::path directory = std::filesystem::path(experiment_.run_directory) / "checkpoints";
    if (checkpoint::scan_published(directory).empty())
      throw CheckpointError("{}: no checkpoint yet: run `stoa run {}` first", directory.string(),
                            choice.experiment_file.string());
    load_newest(log);
  }
  parameters_.refresh_copies(queue_);
  log.info("{}: {} parameters after step {}", checkpoint_.string(),
           format_count(double(trainer::parameter_count(experiment_.model))), step_);
}

void TrainedModel::load(const std::filesystem::path& folder, Log& log) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(folder, ignored)) throw CheckpointError("{}: no such checkpoint", folder.string());
  // The store makes its directory where that is missing: here it is not.
  checkpoint::CheckpointStore store(std::filesystem::absolute(folder).parent_path(), "reader", log);
  const Json saved = store.read_state(folder).state;
  if (saved.is_object() && saved.contains("identity"))
    trainer::require_same_identity(Json{{"model", saved["identity"].value("model", Json())}},
                                   {{"model", trainer::model_identity(experiment_.model)}}, folder.string());
  const auto pieces = trainer::pieces_to_load(table_, "parameters", parameters_.masters());
  const checkpoint::CheckpointState state = store.load(folder, pieces);
  require_tokenizer(state, tokenizer_, folder, experiment_.data.tokenizer);
  step_ = state.step;
  checkpoint_ = folder;
}

void TrainedModel::load_newest(Log& log) {
  auto found = checkpoint::scan_published(std::filesystem::path(experiment_.run_directory) / "checkpoints");
  for (; !found.empty(); found.pop_back()) {
    try {
      return load(found.back().folder, log);
    } catch (const CheckpointError& damage) {
      if (found.size() == 1) throw;
      log.warning("{}; trying the checkpoint before it", damage.what());
    }
  }
}

}  // namespace stoa::launcher

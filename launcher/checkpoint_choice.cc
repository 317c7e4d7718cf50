#include "stoa/launcher/checkpoint_choice.h"

#include "stoa/base/error.h"
#include "stoa/checkpoint/publication.h"

namespace stoa::launcher {

std::vector<std::filesystem::path> checkpoints_to_try(const Experiment& experiment, const ModelChoice& choice) {
  std::vector<std::filesystem::path> folders;
  if (!choice.checkpoint.empty()) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(choice.checkpoint, ignored))
      throw CheckpointError("{}: no such checkpoint", choice.checkpoint.string());
    folders.push_back(choice.checkpoint);
    return folders;
  }
  const std::filesystem::path directory = std::filesystem::path(experiment.run_directory) / "checkpoints";
  const auto found = checkpoint::scan_published(directory);
  for (auto entry = found.rbegin(); entry != found.rend(); ++entry) folders.push_back(entry->folder);
  if (folders.empty() && !experiment.training.start_from.empty()) folders.emplace_back(experiment.training.start_from);
  if (folders.empty())
    throw CheckpointError("{}: no checkpoint yet: run `stoa run {}` first", directory.string(),
                          choice.experiment_file.string());
  return folders;
}

trainer::Tokenizer load_tokenizer(const Experiment& experiment) {
  if (experiment.data.tokenizer.empty())
    throw DataError("data.tokenizer is empty: text cannot be turned into tokens without it");
  trainer::Tokenizer tokenizer = trainer::Tokenizer::load(experiment.data.tokenizer);
  if (tokenizer.vocabulary_size() > experiment.model.vocabulary_size)
    throw DataError("{}: the tokenizer has {} entries, more than model.vocabulary_size {}", experiment.data.tokenizer,
                    tokenizer.vocabulary_size(), experiment.model.vocabulary_size);
  return tokenizer;
}

void require_tokenizer(const Json& state, const trainer::Tokenizer& tokenizer, const std::filesystem::path& folder,
                       const std::string& tokenizer_file) {
  static const Json::json_pointer kFingerprint("/identity/data/tokenizer");
  if (!state.is_object() || !state.contains(kFingerprint)) return;
  const Json& trained_with = state.at(kFingerprint);
  if (trained_with.is_string() && !trained_with.get<std::string>().empty() && trained_with != tokenizer.fingerprint())
    throw DataError("{}: this is not the tokenizer that {} was trained with (fingerprint {}, then {})", tokenizer_file,
                    folder.string(), tokenizer.fingerprint(), trained_with.get<std::string>());
}

}  // namespace stoa::launcher

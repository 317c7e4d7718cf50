#include "stoa/launcher/import_model.h"

#include <fmt/format.h>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/new_folder.h"
#include "stoa/base/progress_lines.h"
#include "stoa/base/units.h"
#include "stoa/checkpoint/publication.h"
#include "stoa/checkpoint/streamed_checkpoint.h"
#include "stoa/launcher/experiment.h"
#include "stoa/launcher/run_report.h"
#include "stoa/trainer/data/tokenizer.h"
#include "stoa/trainer/interchange/transformers_config.h"
#include "stoa/trainer/interchange/weights_in.h"
#include "stoa/trainer/model/identity.h"

namespace stoa::launcher {
namespace {

namespace fs = std::filesystem;

/// Of files that are read whole: far beyond any of their kind.
constexpr std::uintmax_t kMostConfigBytes = std::uintmax_t{4} << 20;
constexpr std::uintmax_t kMostTokenizerBytes = std::uintmax_t{256} << 20;

std::string read_bounded(const fs::path& path, std::uintmax_t most) {
  std::error_code error;
  if (!fs::is_regular_file(path, error)) throw DataError("{}: no such file", path.string());
  const std::uintmax_t bytes = fs::file_size(path, error);
  if (error) throw StorageError("{}: {}", path.string(), error.message());
  if (bytes > most) throw DataError("{}: {} bytes; at most {} are read", path.string(), bytes, most);
  return read_text_file(path);
}

/// Everything an experiment needs but the text; numbers for a first try on one machine.
Experiment experiment_for(const ImportOptions& options, const trainer::ModelSettings& model) {
  Experiment e;
  e.name = options.name.empty() ? options.out.lexically_normal().filename().string() : options.name;
  if (e.name.empty()) e.name = options.out.lexically_normal().parent_path().filename().string();
  e.run_directory = (options.out / "run").string();
  e.model = model;
  e.data.prefix = (options.out / "data" / "corpus").string();
  e.data.tokenizer = (options.out / "tokenizer.json").string();
  e.training.steps = 1000;
  e.training.global_batch = 16;
  e.training.start_from = (options.out / "checkpoint" / checkpoint::step_folder_name(0)).string();
  e.optimizer.learning_rate = 1e-4;
  e.optimizer.warmup_steps = 50;
  e.checkpoint.every_steps = 100;
  return e;
}

std::string experiment_text(const Experiment& experiment, const fs::path& from) {
  const std::string text = experiment_yaml(experiment);
  YamlFile file = YamlFile::parse(text, "the experiment of " + from.string());
  parse_experiment(file);
  return "# Trains an imported model on. Yours to fill: data.text (or data.prefix of a data set made with this "
         "tokenizer),\n"
         "# training.steps, global_batch and micro_batch, optimizer.learning_rate, parallel, cluster.machine.\n" +
         text;
}

class Importer {
 public:
  Importer(const ImportOptions& options, Log& log, const Clock& clock)
      : options_(options), config_path_(options.from / "config.json"), log_(log), clock_(clock) {}

  std::string run() {
    const Json config = parse_json(read_bounded(config_path_, kMostConfigBytes), config_path_.string());
    const trainer::ModelSettings model = trainer::model_from_transformers(config, config_path_.string());
    const std::string tokenizer_json = read_bounded(options_.from / "tokenizer.json", kMostTokenizerBytes);
    const auto tokenizer = trainer::Tokenizer::parse(tokenizer_json, (options_.from / "tokenizer.json").string());
    if (tokenizer.vocabulary_size() > model.vocabulary_size)
      throw DataError("{}: the tokenizer has {} entries, more than the model's vocab_size {}",
                      (options_.from / "tokenizer.json").string(), tokenizer.vocabulary_size(), model.vocabulary_size);
    const std::string experiment = experiment_text(experiment_for(options_, model), options_.from);
    const checkpoint::SafetensorsModel files(options_.from);
    trainer::WeightsIn weights(files, model);

    NewFolder made(options_.out);
    const Json identity = {{"model", trainer::model_identity(model)},
                           {"data", {{"tokenizer", tokenizer.fingerprint()}}}};
    checkpoint::write_streamed_checkpoint(
        made.partial() / "checkpoint",
        {0, {{"identity", identity}, {"imported_from", std::string(trainer::architecture_name(model))}}},
        weights.pieces(progress()), log_);
    write_file_durably(made.partial() / "tokenizer.json", tokenizer_json);
    write_file_durably(made.partial() / "experiment.yaml", experiment);
    made.publish();
    return fmt::format("{}: {}\n{}: {} parameters\n{}: give it data.text, then `stoa run` trains it on",
                       options_.out.string(), describe_model(model),
                       (options_.out / "checkpoint" / checkpoint::step_folder_name(0)).string(),
                       format_grouped(trainer::parameter_count(model)), (options_.out / "experiment.yaml").string());
  }

 private:
  std::function<void(double)> progress() {
    return [lines = ProgressLines(log_, clock_)](double fraction) mutable {
      lines.line("{:.0f} % of the weights read", 100 * fraction);
    };
  }

  const ImportOptions& options_;
  fs::path config_path_;
  Log& log_;
  const Clock& clock_;
};

}  // namespace

int run_import(const ImportOptions& options, std::FILE* out, Log& log, const Clock& clock) {
  fmt::print(out, "{}\n", Importer(options, log, clock).run());
  return kExitFinished;
}

}  // namespace stoa::launcher

#include "stoa/launcher/export_model.h"

#include <fmt/format.h>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/new_folder.h"
#include "stoa/base/progress_lines.h"
#include "stoa/base/units.h"
#include "stoa/launcher/export_card.h"
#include "stoa/trainer/interchange/foreign_tensors.h"
#include "stoa/trainer/interchange/transformers_config.h"
#include "stoa/trainer/interchange/weights_out.h"
#include "stoa/trainer/loop/starting_point.h"

namespace stoa::launcher {
namespace {

class Exporter {
 public:
  Exporter(const ExportOptions& options, Log& log, const Clock& clock)
      : options_(options),
        experiment_(read_experiment(options.model.experiment_file, options.model.overrides)),
        tokenizer_(load_tokenizer(experiment_)),
        log_(log),
        clock_(clock) {
    if (const auto wrong = trainer::check_expressible(experiment_.model))
      throw ConfigError("{}: {}", options.model.experiment_file.string(), wrong->message);
  }

  std::string run() {
    const auto folders = checkpoints_to_try(experiment_, options_.model);
    for (std::size_t i = 0;; ++i) {
      try {
        return write(folders[i]);
      } catch (const CheckpointError& damage) {
        if (i + 1 == folders.size()) throw;
        log_.warning("{}; trying the checkpoint before it", damage.what());
      }
    }
  }

 private:
  /// Returns one sentence about what was made.
  std::string write(const std::filesystem::path& folder) {
    trainer::check_start(folder, trainer::make_parameter_table(experiment_.model));
    checkpoint::CheckpointReader reader(folder);
    require_tokenizer(reader.manifest().state, tokenizer_, folder, experiment_.data.tokenizer);
    NewFolder made(options_.out);
    ProgressLines lines(log_, clock_);
    const auto progress = [&](double fraction) { lines.line("{:.0f} % of the weights written", 100 * fraction); };
    const trainer::WeightsWritten weights = trainer::write_weights(
        reader, experiment_.model, {made.partial(), options_.dtype, options_.shard_bytes, progress});
    write_texts(made.partial(), reader);
    made.publish();
    const double seconds = lines.elapsed_s();
    return fmt::format("{}: {} of step {}, {} of weights in {} file{}, {} ({}/s)", options_.out.string(),
                       trainer::architecture_name(experiment_.model), reader.manifest().step,
                       format_bytes(double(weights.bytes)), weights.files, weights.files == 1 ? "" : "s",
                       format_duration(seconds), format_bytes(double(weights.bytes) / std::max(seconds, 1e-9)));
  }

  void write_texts(const std::filesystem::path& folder, const checkpoint::CheckpointReader& reader) const {
    const std::int32_t end = tokenizer_.end_of_text();
    const std::int32_t begin = tokenizer_.begin_of_text().value_or(end);
    const auto write_json = [&](const char* name, const Json& json) {
      write_file_durably(folder / name, json.dump(2) + "\n");
    };
    write_json("config.json", trainer::transformers_config(experiment_.model, {begin, end}, options_.dtype));
    write_json("generation_config.json", {{"bos_token_id", begin}, {"eos_token_id", end}, {"do_sample", true}});
    write_json("tokenizer_config.json", {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                         {"bos_token", tokenizer_.decode(std::span(&begin, 1))},
                                         {"eos_token", tokenizer_.decode(std::span(&end, 1))},
                                         {"clean_up_tokenization_spaces", false},
                                         {"model_max_length", experiment_.model.context_length}});
    write_file_durably(folder / "tokenizer.json", tokenizer_.to_json());
    write_file_durably(folder / "README.md",
                       model_card({experiment_, reader, checkpoint::manifest_digest(reader.folder()),
                                   std::string(trainer::architecture_name(experiment_.model)),
                                   options_.dtype == checkpoint::FloatType::kBf16 ? "bfloat16" : "float32"}));
  }

  const ExportOptions& options_;
  Experiment experiment_;
  trainer::Tokenizer tokenizer_;
  Log& log_;
  const Clock& clock_;
};

}  // namespace

int run_export(const ExportOptions& options, std::FILE* out, Log& log, const Clock& clock) {
  fmt::print(out, "{}\n", Exporter(options, log, clock).run());
  return kExitFinished;
}

}  // namespace stoa::launcher

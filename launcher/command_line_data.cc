#include <fmt/format.h>

#include "stoa/base/error.h"
#include "stoa/base/log.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/data_files.h"
#include "stoa/launcher/data_sets.h"

namespace stoa::launcher {
namespace {

class DataPrepare final : public Command {
 public:
  explicit DataPrepare(CLI::App& data)
      : Command(data.add_subcommand(
            "prepare", "Make the tokenizer and the data set from text or JSON lines, where they are absent")) {
    app().add_option("FILE", words_.file, "The experiment, in YAML")->type_name("");
    app()
        .add_option("OVERRIDE", words_.overrides, "Values that replace those of the file: data.seed=7")
        ->type_name("")
        ->expected(0, -1);
    app()
        .add_option("--text", options_.text, "Instead of FILE: files, folders or patterns")
        ->type_name("FILE")
        ->expected(1, -1);
    app()
        .add_option("--tokenizer", options_.tokenizer, "With --text: its tokenizer.json, which must be there")
        ->type_name("FILE");
    app().add_option("--prefix", options_.prefix, "With --text: makes PREFIX.bin and PREFIX.idx")->type_name("PREFIX");
    app()
        .add_option("--text-field", options_.text_field, "With --text: the string of a JSON line that is the document")
        ->type_name("NAME")
        ->capture_default_str();
    app()
        .add_option("--separator", options_.separator, "With --text: the line between two documents of a text file")
        ->type_name("LINE")
        ->capture_default_str();
    add_threads(app(), options_.threads);
    app().footer(
        "Text or JSON lines (.jsonl, .ndjson), plain or with .gz or .zst. Killed at any moment, the same command\n"
        "goes on and makes the same bytes.\n\n" +
        app().get_footer());
  }

  int run(const Streams& streams) override {
    Log log(streams.err, "stoa");
    if (words_.file.empty() == options_.text.empty())
      throw UsageError("stoa data prepare works on an experiment or on --text: one of them, please");
    if (!options_.text.empty()) return run_data_prepare_text(options_, streams.out, log);
    if (!options_.tokenizer.empty() || !options_.prefix.empty())
      throw UsageError(
          "--tokenizer and --prefix belong to --text; an experiment's are data.tokenizer=... and "
          "data.prefix=...");
    const Experiment experiment = read_experiment(words_.file, words_.overrides);
    make_data(experiment, log, options_.threads);
    fmt::print(streams.out, "{}\n", check_data(experiment, DataDepth::kShape));
    return 0;
  }

 private:
  ExperimentWords words_;
  PrepareTextOptions options_;
};

}  // namespace

std::unique_ptr<Command> add_data_prepare(CLI::App& program) {
  return std::make_unique<DataPrepare>(command_group(program, "data", "Work on data sets"));
}

}  // namespace stoa::launcher

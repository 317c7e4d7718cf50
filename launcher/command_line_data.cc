#include <fmt/format.h>

#include "stoa/base/log.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/data_files.h"

namespace stoa::launcher {
namespace {

class DataPrepare final : public Command {
 public:
  explicit DataPrepare(CLI::App& data)
      : Command(data.add_subcommand("prepare",
                                    "Make the tokenizer and the data set from data.text, where they are absent")) {
    add_experiment_words(app(), words_);
  }

  int run(const Streams& streams) override {
    const Experiment experiment = read_experiment(words_.file, words_.overrides);
    Log log(streams.err, "stoa");
    make_data(experiment, log);
    fmt::print(streams.out, "{}\n", check_data(experiment, DataDepth::kShape));
    return 0;
  }

 private:
  ExperimentWords words_;
};

}  // namespace

std::unique_ptr<Command> add_data_prepare(CLI::App& program) {
  return std::make_unique<DataPrepare>(command_group(program, "data", "Work on data sets"));
}

}  // namespace stoa::launcher

#include "stoa/base/clock.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/local_run.h"

namespace stoa::launcher {
namespace {

class Run final : public Command {
 public:
  explicit Run(CLI::App& program)
      : Command(
            program.add_subcommand("run", "Train on this machine; the same command again goes on where it stopped")) {
    add_experiment_words(app(), words_);
  }

  int run(const Streams& streams) override {
    const SystemClock clock;
    return run_locally({.experiment_file = words_.file, .overrides = words_.overrides}, streams.out, streams.err,
                       clock);
  }

 private:
  ExperimentWords words_;
};

}  // namespace

std::unique_ptr<Command> add_run(CLI::App& program) { return std::make_unique<Run>(program); }

}  // namespace stoa::launcher

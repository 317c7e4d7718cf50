#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/verification.h"

namespace stoa::launcher {
namespace {

class Verify final : public Command {
 public:
  explicit Verify(CLI::App& program)
      : Command(program.add_subcommand(
            "verify", "Train a small copy of an experiment on one rank and on many layouts, and compare")) {
    add_experiment_words(app(), words_);
    auto* layouts =
        app()
            .add_option("--layouts", options_.most_layouts, "As many at most, the experiment's own first; 0: no limit")
            ->type_name("N")
            ->check(CLI::Range(0, 1 << 20))
            ->capture_default_str();
    app()
        .add_flag_callback(
            "--all", [this] { options_.choice = trainer::LayoutChoice::kAll; },
            "Every combination, not only each pair of values: half a minute")
        ->excludes(layouts);
    add_format(app(), options_.format);
  }

  int run(const Streams& streams) override {
    options_.file = words_.file;
    Log log(streams.err, "stoa");
    verify_experiment(read_experiment(words_.file, words_.overrides), options_, streams.out, log);
    return kExitFinished;
  }

 private:
  ExperimentWords words_;
  VerifyLayoutsOptions options_;
};

}  // namespace

std::unique_ptr<Command> add_verify(CLI::App& program) { return std::make_unique<Verify>(program); }

}  // namespace stoa::launcher

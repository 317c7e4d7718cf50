#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/inference_commands.h"

namespace stoa::launcher {
namespace {

class Sample final : public Command {
 public:
  explicit Sample(CLI::App& program)
      : Command(program.add_subcommand("sample", "Let a run's model go on from a prompt")) {
    add_experiment_words(app(), words_);
    app().add_option("--prompt", options_.prompt, "The beginning of the text")->required()->type_name("TEXT");
    app()
        .add_option("--tokens", options_.tokens, "Tokens to write")
        ->type_name("NUMBER")
        ->check(CLI::Range(1, 1 << 20))
        ->capture_default_str();
    app()
        .add_option("--temperature", options_.temperature, "0 takes the most likely token always")
        ->type_name("NUMBER")
        ->check(CLI::Range(0.0, 100.0))
        ->capture_default_str();
    app()
        .add_option("--top-k", options_.top_k, "Choose among the K most likely; 0: among all")
        ->type_name("K")
        ->check(CLI::Range(0, 1 << 24))
        ->capture_default_str();
    app()
        .add_option("--top-p", options_.top_p, "Choose among the most likely that make up this probability")
        ->type_name("P")
        ->check(CLI::Range(1e-6, 1.0))
        ->capture_default_str();
    app()
        .add_option("--seed", options_.seed, "The same seed writes the same text")
        ->type_name("NUMBER")
        ->capture_default_str();
    app()
        .add_option("--checkpoint", options_.model.checkpoint,
                    "A step-XXXXXXXX folder; else the run's newest whole one")
        ->type_name("PATH");
    add_threads(app(), options_.model.threads);
  }

  int run(const Streams& streams) override {
    options_.model.experiment_file = words_.file;
    options_.model.overrides = words_.overrides;
    Log log(streams.err, "stoa");
    return run_sample(options_, streams.out, log, SystemClock());
  }

 private:
  ExperimentWords words_;
  SampleOptions options_;
};

}  // namespace

std::unique_ptr<Command> add_sample(CLI::App& program) { return std::make_unique<Sample>(program); }

}  // namespace stoa::launcher

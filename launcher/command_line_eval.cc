#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/inference_commands.h"

namespace stoa::launcher {
namespace {

class Eval final : public Command {
 public:
  explicit Eval(CLI::App& program)
      : Command(program.add_subcommand("eval", "Loss, perplexity and bits per byte of a text under a run's model")) {
    add_experiment_words(app(), words_);
    app().add_option("--text", options_.text, "The text")->required()->type_name("PATH");
    app()
        .add_option("--checkpoint", options_.model.checkpoint,
                    "A step-XXXXXXXX folder; else the run's newest whole one")
        ->type_name("PATH");
    add_threads(app(), options_.model.threads);
    app().add_flag("--json", json_, "One line of JSON");
  }

  int run(const Streams& streams) override {
    options_.model.experiment_file = words_.file;
    options_.model.overrides = words_.overrides;
    if (json_) options_.form = ResultForm::kJson;
    Log log(streams.err, "stoa");
    return run_eval(options_, streams.out, log, SystemClock());
  }

 private:
  ExperimentWords words_;
  EvalOptions options_;
  bool json_ = false;
};

}  // namespace

std::unique_ptr<Command> add_eval(CLI::App& program) { return std::make_unique<Eval>(program); }

}  // namespace stoa::launcher

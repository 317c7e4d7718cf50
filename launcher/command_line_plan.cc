#include <fmt/format.h>

#include "stoa/cluster/machine_file.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/machine_choice.h"
#include "stoa/launcher/plan.h"

namespace stoa::launcher {
namespace {

class PlanCommand final : public Command {
 public:
  explicit PlanCommand(CLI::App& program)
      : Command(program.add_subcommand("plan", "Tell what an experiment needs and costs, without running it")) {
    add_experiment_words(app(), words_);
    app()
        .add_option("--utilisation", assumptions_.utilisation, "Model FLOPs reached, as a part of the peak")
        ->type_name("FRACTION")
        ->check(CLI::Range(0.001, 1.0, "from 0.001 to 1"))
        ->capture_default_str();
    app()
        .add_option("--peak-gflops", assumptions_.peak_gflops,
                    "Peak of one core or accelerator, where the machine file has none")
        ->type_name("NUMBER")
        ->check(CLI::Range(1e-3, 1e12, "above 0"));
  }

  int run(const Streams& streams) override {
    const Experiment experiment = read_experiment(words_.file, words_.overrides);
    const cluster::MachineSettings machine = cluster::read_machine(machine_file(experiment, words_.file));
    fmt::print(streams.out, "{}", plan_text(plan(experiment, machine, assumptions_), machine, assumptions_));
    return 0;
  }

 private:
  ExperimentWords words_;
  PlanAssumptions assumptions_;
};

}  // namespace

std::unique_ptr<Command> add_plan(CLI::App& program) { return std::make_unique<PlanCommand>(program); }

}  // namespace stoa::launcher

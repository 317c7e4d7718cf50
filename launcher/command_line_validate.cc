#include <fmt/format.h>

#include "stoa/base/units.h"
#include "stoa/cluster/machine_file.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/data_files.h"
#include "stoa/launcher/machine_choice.h"
#include "stoa/launcher/run_report.h"
#include "stoa/trainer/loop/starting_point.h"

namespace stoa::launcher {
namespace {

class Validate final : public Command {
 public:
  explicit Validate(CLI::App& program)
      : Command(program.add_subcommand("validate", "Check an experiment: its settings, its machine, its data")) {
    add_experiment_words(app(), words_);
    auto* deep = app().add_flag("--deep", deep_, "Read every token and compare checksums");
    app().add_flag("--without-data", without_data_, "Leave the data alone, which may be elsewhere")->excludes(deep);
  }

  int run(const Streams& streams) override {
    const Experiment experiment = read_experiment(words_.file, words_.overrides);
    const cluster::MachineSettings machine = cluster::read_machine(machine_file(experiment, words_.file));
    const std::string data =
        without_data_ ? "not looked at" : check_data(experiment, deep_ ? DataDepth::kEverything : DataDepth::kShape);
    std::string start;
    if (const std::string& folder = experiment.training.start_from; !folder.empty())
      start = fmt::format("start    {}: step {}\n", folder,
                          check_start(folder, make_parameter_table(experiment.model)).step);
    fmt::print(streams.out, "{} is right\nmodel    {}: {} parameters\nmachine  {}: {}\ndata     {}\n{}", words_.file,
               describe_model(experiment.model), format_grouped(parameter_count(experiment.model)), machine.name,
               machine.description, data, start);
    return 0;
  }

 private:
  ExperimentWords words_;
  bool deep_ = false;
  bool without_data_ = false;
};

}  // namespace

std::unique_ptr<Command> add_validate(CLI::App& program) { return std::make_unique<Validate>(program); }

}  // namespace stoa::launcher

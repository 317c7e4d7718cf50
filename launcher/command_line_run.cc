#include "stoa/base/clock.h"
#include "stoa/base/error.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/drill.h"
#include "stoa/launcher/local_run.h"

namespace stoa::launcher {
namespace {

class Run final : public Command {
 public:
  explicit Run(CLI::App& program)
      : Command(
            program.add_subcommand("run", "Train on this machine; the same command again goes on where it stopped")) {
    add_experiment_words(app(), words_);
    app()
        .add_option("--limit", limit_s_, "Rehearse a job's time limit: save before it, go on as a next job")
        ->type_name("SECONDS")
        ->check(CLI::PositiveNumber);
    app()
        .add_option("--warning", warning_s_, "Save so long before the limit")
        ->type_name("SECONDS")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
  }

  int run(const Streams& streams) override {
    const SystemClock clock;
    if (limit_s_ > 0 && limit_s_ <= warning_s_)
      throw UsageError("--limit {} is not longer than --warning {}: the run would stop before it begins", limit_s_,
                       warning_s_);
    RunRequest request{.experiment_file = words_.file, .overrides = words_.overrides, .warning_s = warning_s_};
    if (limit_s_ > 0) request.limit_s = limit_s_;
    return run_locally(request, streams.out, streams.err, clock);
  }

 private:
  ExperimentWords words_;
  double limit_s_ = 0;
  double warning_s_ = 10;
};

class DrillCommand final : public Command {
 public:
  explicit DrillCommand(CLI::App& program)
      : Command(program.add_subcommand("drill", "Rehearse a fault on this machine: nothing must be lost, to the bit")) {
    app()
        .add_option_function<std::string>(
            "FAULT", [this](const std::string& word) { request_.fault = kFaults.at(word); },
            "preempt, timeout or node-loss")
        ->required()
        ->type_name("")
        ->check(CLI::IsMember(kFaults));
    add_experiment_words(app(), words_);
    app().add_option("--steps", request_.steps, "Steps to train, twice")->type_name("N")->capture_default_str();
    app().add_flag("--keep", request_.keep, "Leave both runs in RUN-drill");
  }

  int run(const Streams& streams) override {
    const SystemClock clock;
    request_.experiment_file = words_.file;
    request_.overrides = words_.overrides;
    return drill(request_, streams.out, streams.err, clock);
  }

 private:
  inline static const std::map<std::string, DrillFault> kFaults{
      {"preempt", DrillFault::kPreempt}, {"timeout", DrillFault::kTimeout}, {"node-loss", DrillFault::kNodeLoss}};
  ExperimentWords words_;
  DrillRequest request_;
};

}  // namespace

std::unique_ptr<Command> add_drill(CLI::App& program) { return std::make_unique<DrillCommand>(program); }
std::unique_ptr<Command> add_run(CLI::App& program) { return std::make_unique<Run>(program); }

}  // namespace stoa::launcher

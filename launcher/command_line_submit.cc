#include "stoa/base/clock.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/submission.h"
#include "stoa/launcher/supervise.h"
#include "stoa/launcher/supervisor_sentinel.h"

namespace stoa::launcher {
namespace {

class Submit final : public Command {
 public:
  explicit Submit(CLI::App& program)
      : Command(program.add_subcommand("submit", "Train through Slurm, as a chain of jobs until it is finished")) {
    add_experiment_words(app(), words_);
    app().add_flag("--dry-run", dry_run_, "Prepare the run and print the sbatch line instead of running it");
    app().footer(
        "The job's number goes to standard output. The keys of the cluster: section say what is asked for; what "
        "they leave out\nthe machine file's slurm: section says.");
  }

  int run(const Streams& streams) override {
    const SystemClock clock;
    const auto form = dry_run_ ? SubmitRequest::Form::kDryRun : SubmitRequest::Form::kSubmit;
    return submit({.experiment_file = words_.file, .overrides = words_.overrides, .form = form}, streams.out,
                  streams.err, clock);
  }

 private:
  ExperimentWords words_;
  bool dry_run_ = false;
};

class Render final : public Command {
 public:
  explicit Render(CLI::App& program)
      : Command(program.add_subcommand("render", "Prepare a run and write the script for a plain sbatch")) {
    add_experiment_words(app(), words_);
  }

  int run(const Streams& streams) override {
    const SystemClock clock;
    return submit({.experiment_file = words_.file, .overrides = words_.overrides, .form = SubmitRequest::Form::kRender},
                  streams.out, streams.err, clock);
  }

 private:
  ExperimentWords words_;
};

class Supervise final : public Command {
 public:
  explicit Supervise(CLI::App& program)
      : Command(program.add_subcommand("supervise", "What a batch job runs: the ranks of one job, and the next job")) {
    app().add_option("SPEC", spec_, "RUN/spec.yaml")->required()->type_name("");
    app().add_flag("--sentinel", sentinel_, "Watch the supervisor from another node (started by it)");
  }

  int run(const Streams& streams) override {
    const SystemClock clock;
    return sentinel_ ? stand_sentinel(spec_, streams.out, clock) : supervise_job(spec_, streams.out, clock);
  }

 private:
  std::string spec_;
  bool sentinel_ = false;
};

}  // namespace

std::unique_ptr<Command> add_submit(CLI::App& program) { return std::make_unique<Submit>(program); }
std::unique_ptr<Command> add_render(CLI::App& program) { return std::make_unique<Render>(program); }
std::unique_ptr<Command> add_supervise(CLI::App& program) { return std::make_unique<Supervise>(program); }

}  // namespace stoa::launcher

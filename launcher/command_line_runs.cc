/// Commands on runs that exist: status, logs, cancel, pause, resume, history.
#include "stoa/base/clock.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/run_commands.h"

namespace stoa::launcher {
namespace {

void add_run_word(CLI::App& app, std::string& run) {
  app.add_option("RUN", run, "The run's directory, or the name of a recorded run")->required()->type_name("");
}

class Status final : public Command {
 public:
  explicit Status(CLI::App& program)
      : Command(program.add_subcommand("status", "What the runs are doing: step, time left, cost, state of the job")) {
    app().add_option("RUN", request_.runs, "Directories or names; none: all recorded runs")->type_name("");
    app().add_flag("--all", request_.all, "Also runs that ended long ago");
    add_format(app(), request_.format);
  }
  int run(const Streams& streams) override {
    const SystemClock clock;
    return show_status(request_, streams.out, streams.err, clock);
  }

 private:
  StatusRequest request_;
};

class Logs final : public Command {
 public:
  explicit Logs(CLI::App& program) : Command(program.add_subcommand("logs", "The end of the log of a run's last job")) {
    add_run_word(app(), request_.run);
    app().add_flag("-f,--follow", request_.follow, "Go on until the run stops");
    app()
        .add_option("-n,--lines", request_.lines, "So many lines of what is there")
        ->type_name("N")
        ->check(CLI::Range(0, 1'000'000));
  }
  int run(const Streams& streams) override {
    const SystemClock clock;
    return show_logs(request_, streams.out, streams.err, clock);
  }

 private:
  LogsRequest request_;
};

class Ask final : public Command {
 public:
  Ask(CLI::App& program, const char* name, cluster::UserRequest request, const char* description)
      : Command(program.add_subcommand(name, description)), request_(request) {
    add_run_word(app(), run_);
    app().add_flag("--now", now_, "End the job at once, without saving");
  }
  int run(const Streams& streams) override {
    const SystemClock clock;
    return ask_run(run_, request_, now_ ? Haste::kNow : Haste::kSave, streams.out, clock);
  }

 private:
  cluster::UserRequest request_;
  std::string run_;
  bool now_ = false;
};

class Resume final : public Command {
 public:
  explicit Resume(CLI::App& program)
      : Command(program.add_subcommand("resume", "Submit a run again that is paused, held, cancelled or lost")) {
    add_run_word(app(), run_);
  }
  int run(const Streams& streams) override {
    const SystemClock clock;
    return resume_run(run_, streams.out, streams.err, clock);
  }

 private:
  std::string run_;
};

class History final : public Command {
 public:
  explicit History(CLI::App& program)
      : Command(program.add_subcommand("history", "All that happened to a run, and what Slurm accounted for it")) {
    add_run_word(app(), run_);
    add_format(app(), format_);
  }
  int run(const Streams& streams) override { return show_history(run_, format_, streams.out, streams.err); }

 private:
  std::string run_;
  TextOrJson format_ = TextOrJson::kText;
};

}  // namespace

std::vector<std::unique_ptr<Command>> add_runs(CLI::App& program) {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(std::make_unique<Status>(program));
  commands.push_back(std::make_unique<Logs>(program));
  commands.push_back(std::make_unique<Ask>(program, "cancel", cluster::UserRequest::kCancel,
                                           "Save and end a run, and submit it no more"));
  commands.push_back(
      std::make_unique<Ask>(program, "pause", cluster::UserRequest::kPause, "Save and stop a run until stoa resume"));
  commands.push_back(std::make_unique<Resume>(program));
  commands.push_back(std::make_unique<History>(program));
  return commands;
}

}  // namespace stoa::launcher

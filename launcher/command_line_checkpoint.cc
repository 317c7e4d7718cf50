#include "stoa/base/log.h"
#include "stoa/launcher/checkpoint_commands.h"
#include "stoa/launcher/command_line_commands.h"

namespace stoa::launcher {
namespace {

void add_checkpoint(CLI::App& app, CheckpointWords& words) {
  app.add_option("CHECKPOINT", words.path, "A step-XXXXXXXX folder; or a run's directory, for its newest whole one")
      ->required()
      ->type_name("");
  app.add_option("--step", words.step, "Of a run's directory: this one")->type_name("N");
}

void add_run_directory(CLI::App& app, std::filesystem::path& run) {
  app.add_option("RUN", run, "The run's directory: runs/NAME")->required()->type_name("");
}

class CheckpointList final : public Command {
 public:
  explicit CheckpointList(CLI::App& group) : Command(group.add_subcommand("list", "The checkpoints of a run")) {
    add_run_directory(app(), run_);
    add_format(app(), format_);
  }
  int run(const Streams& streams) override { return run_checkpoint_list(run_, format_, streams.out); }

 private:
  std::filesystem::path run_;
  TextOrJson format_ = TextOrJson::kText;
};

class CheckpointShow final : public Command {
 public:
  explicit CheckpointShow(CLI::App& group) : Command(group.add_subcommand("show", "Say what a checkpoint holds")) {
    add_checkpoint(app(), options_.checkpoint);
    app().add_flag("--tensors", options_.tensors, "A line a tensor: type, shape, norm");
    add_format(app(), options_.format);
  }
  int run(const Streams& streams) override { return run_checkpoint_show(options_, streams.out); }

 private:
  ShowCheckpointOptions options_;
};

class CheckpointVerify final : public Command {
 public:
  explicit CheckpointVerify(CLI::App& group)
      : Command(group.add_subcommand("verify", "Read every byte of a checkpoint and compare every checksum")) {
    add_checkpoint(app(), options_.checkpoint);
    add_threads(app(), options_.threads);
    add_format(app(), options_.format);
    app().footer("Names each file, tensor and byte range that is wrong, and ends with exit code 5 then.");
  }
  int run(const Streams& streams) override {
    Log log(streams.err, "stoa");
    return run_checkpoint_verify(options_, streams.out, log);
  }

 private:
  VerifyCheckpointOptions options_;
};

class CheckpointDiff final : public Command {
 public:
  explicit CheckpointDiff(CLI::App& group)
      : Command(group.add_subcommand("diff", "Which tensors of two checkpoints differ, and by how much")) {
    for (auto [word, checkpoint, step] : {std::tuple("FIRST", &options_.first, "--first-step"),
                                          std::tuple("SECOND", &options_.second, "--second-step")}) {
      app()
          .add_option(word, checkpoint->path, "A step-XXXXXXXX folder; or a run's directory, for its newest whole one")
          ->required()
          ->type_name("");
      app()
          .add_option(step, checkpoint->step, std::string("Of a run's directory as ") + word + ": this one")
          ->type_name("N");
    }
    app().add_flag("--all", options_.all, "List tensors that are the same too");
    add_format(app(), options_.format);
    app().footer(
        "Layouts do not matter. Values are compared by their bits. \"relative\" is the norm of the difference over\n"
        "that of the first. Exit code 0: the same; 8: different.");
  }
  int run(const Streams& streams) override {
    Log log(streams.err, "stoa");
    return run_checkpoint_diff(options_, streams.out, log);
  }

 private:
  DiffCheckpointOptions options_;
};

class CheckpointPrune final : public Command {
 public:
  explicit CheckpointPrune(CLI::App& group)
      : Command(group.add_subcommand("prune", "Remove the checkpoints of a run that no rule keeps")) {
    add_run_directory(app(), options_.run);
    const auto rule = [this](const char* option, std::optional<std::int64_t>& value, std::int64_t least,
                             const char* what) {
      app().add_option(option, value, what)->type_name("N")->check(CLI::Range(least, std::int64_t{1'000'000'000}));
    };
    rule("--keep-last", options_.keep_last, 1, "The newest ones");
    rule("--keep-every-steps", options_.keep_every_steps, 0, "Those of every so many steps; 0: none");
    rule("--keep-best", options_.keep_best, 0, "Those of the lowest evaluation loss; 0: none");
    app().add_flag_callback(
        "--dry-run", [this] { options_.pruning = Pruning::kOnlyTold; }, "Say what would go, and remove nothing");
    app().footer(
        "Rules that are not given are those of the run's experiment. The newest whole checkpoint always stays. What "
        "is\n"
        "left of unfinished saves goes too. Not while the run is at work: it removes by the same rules itself.");
  }
  int run(const Streams& streams) override { return run_checkpoint_prune(options_, streams.out); }

 private:
  PruneOptions options_;
};

class CheckpointCopy final : public Command {
 public:
  explicit CheckpointCopy(CLI::App& group)
      : Command(group.add_subcommand("copy", "Copy a checkpoint, whole and verified, to a new folder")) {
    add_checkpoint(app(), checkpoint_);
    app().add_option("--to", to_, "The folder to make")->required()->type_name("FOLDER");
    app().footer("A folder named step-XXXXXXXX under another run's checkpoints/ becomes a checkpoint of that run.");
  }
  int run(const Streams& streams) override {
    Log log(streams.err, "stoa");
    return run_checkpoint_copy(checkpoint_, to_, streams.out, log);
  }

 private:
  CheckpointWords checkpoint_;
  std::filesystem::path to_;
};

class CheckpointIndex final : public Command {
 public:
  explicit CheckpointIndex(CLI::App& group)
      : Command(group.add_subcommand("index", "Write a checkpoint's checkpoint.h5 anew, for h5py and h5dump")) {
    add_checkpoint(app(), checkpoint_);
  }
  int run(const Streams& streams) override { return run_checkpoint_index(checkpoint_, streams.out); }

 private:
  CheckpointWords checkpoint_;
};

template <typename Kind>
std::unique_ptr<Command> add_to_group(CLI::App& program) {
  return std::make_unique<Kind>(command_group(program, "checkpoint", "Work on the checkpoints of runs"));
}

}  // namespace

std::vector<std::unique_ptr<Command>> add_checkpoints(CLI::App& program) {
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(add_to_group<CheckpointList>(program));
  commands.push_back(add_to_group<CheckpointShow>(program));
  commands.push_back(add_to_group<CheckpointVerify>(program));
  commands.push_back(add_to_group<CheckpointDiff>(program));
  commands.push_back(add_to_group<CheckpointPrune>(program));
  commands.push_back(add_to_group<CheckpointCopy>(program));
  commands.push_back(add_to_group<CheckpointIndex>(program));
  return commands;
}

}  // namespace stoa::launcher

#include "stoa/base/error.h"
#include "stoa/base/units.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/export_model.h"

namespace stoa::launcher {
namespace {

class Export final : public Command {
 public:
  explicit Export(CLI::App& program)
      : Command(program.add_subcommand("export", "Write a run's model as a folder that other tools open")) {
    add_experiment_words(app(), words_);
    app()
        .add_option("--to", to_, "huggingface: what the transformers library opens")
        ->required()
        ->type_name("FORM")
        ->check(CLI::IsMember({"huggingface"}));
    app().add_option("--out", options_.out, "The folder to make; nothing is replaced")->required()->type_name("PATH");
    app()
        .add_option("--checkpoint", options_.model.checkpoint,
                    "A step-XXXXXXXX folder; else the run's newest whole one")
        ->type_name("PATH");
    app()
        .add_option("--dtype", dtype_, "fp32, or bf16 rounded to nearest")
        ->type_name("TYPE")
        ->check(CLI::IsMember({"fp32", "bf16"}))
        ->capture_default_str();
    app()
        .add_option("--shard-size", shard_size_, "Bytes of one file of weights at most")
        ->type_name("SIZE")
        ->capture_default_str();
  }

  int run(const Streams& streams) override {
    options_.model.experiment_file = words_.file;
    options_.model.overrides = words_.overrides;
    if (dtype_ == "bf16") options_.dtype = checkpoint::FloatType::kBf16;
    const auto bytes = parse_bytes(shard_size_);
    if (!bytes) throw UsageError("--shard-size {}: expected a size such as 5GB or 512MiB", shard_size_);
    options_.shard_bytes = *bytes;
    Log log(streams.err, "stoa");
    return run_export(options_, streams.out, log, SystemClock());
  }

 private:
  ExperimentWords words_;
  ExportOptions options_;
  std::string to_;
  std::string dtype_ = "fp32";
  std::string shard_size_ = "5GB";
};

}  // namespace

std::unique_ptr<Command> add_export(CLI::App& program) { return std::make_unique<Export>(program); }

}  // namespace stoa::launcher

#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/import_model.h"

namespace stoa::launcher {
namespace {

class Import final : public Command {
 public:
  explicit Import(CLI::App& program)
      : Command(program.add_subcommand("import", "Make an experiment and a checkpoint of a Hugging Face model")) {
    app()
        .add_option("FOLDER", options_.from, "With config.json, tokenizer.json and safetensors: llama, qwen3 or gpt2")
        ->required()
        ->type_name("");
    app().add_option("--out", options_.out, "The folder to make; nothing is replaced")->required()->type_name("PATH");
    app().add_option("--name", options_.name, "Of the experiment; else the name of the folder")->type_name("NAME");
  }

  int run(const Streams& streams) override {
    Log log(streams.err, "stoa");
    return run_import(options_, streams.out, log, SystemClock());
  }

 private:
  ImportOptions options_;
};

}  // namespace

std::unique_ptr<Command> add_import(CLI::App& program) { return std::make_unique<Import>(program); }

}  // namespace stoa::launcher

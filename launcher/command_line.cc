#include "stoa/launcher/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <sstream>

#include "stoa/base/error.h"
#include "stoa/launcher/command_line_commands.h"

namespace stoa::launcher {
namespace {

constexpr const char* kFooter =
    "Exit codes: 0 finished; 1 a defect of Stoa; 2 the command line; 3 an experiment or machine file; 4 data or a\n"
    "tokenizer; 5 a checkpoint; 6 storage; 7 ranks lost each other; 8 training diverged, or a layout\n"
    "or a checkpoint differs; 9 this machine lacks something; 75 saved before the work was done: give the same command "
    "again.";

int report_parse(const CLI::App& program, const CLI::ParseError& failure, const Streams& streams) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = program.exit(failure, out, err);
  if (code == 0) {
    fmt::print(streams.out, "{}", out.str());
    return kExitFinished;
  }
  fmt::print(streams.err, "stoa: error: {}\nstoa --help and stoa COMMAND --help tell more.\n", failure.what());
  return exit_code(ErrorKind::kUsage);
}

int parse_and_run(std::vector<std::string> words, const Streams& streams) {
  CLI::App program("Pretrains language models from one YAML file.", "stoa");
  program.footer(kFooter);
  program.get_formatter()->column_width(34);
  program.set_version_flag("--version", "stoa " STOA_VERSION);
  program.require_subcommand(1);
  std::vector<std::unique_ptr<Command>> commands;
  commands.push_back(add_validate(program));
  commands.push_back(add_plan(program));
  commands.push_back(add_verify(program));
  commands.push_back(add_run(program));
  commands.push_back(add_drill(program));
  commands.push_back(add_submit(program));
  commands.push_back(add_render(program));
  commands.push_back(add_supervise(program));
  for (auto& command : add_runs(program)) commands.push_back(std::move(command));
  commands.push_back(add_eval(program));
  commands.push_back(add_sample(program));
  commands.push_back(add_export(program));
  commands.push_back(add_import(program));
  commands.push_back(add_report(program));
  for (auto& command : add_checkpoints(program)) commands.push_back(std::move(command));
  commands.push_back(add_data_prepare(program));
  for (auto& command : add_data_sets(program)) commands.push_back(std::move(command));
  commands.push_back(add_data_curate(program));
  commands.push_back(add_data_describe(program));
  commands.push_back(add_tokenizer_train(program));
  commands.push_back(add_tokenizer_encode(program));
  commands.push_back(add_tokenizer_decode(program));
  commands.push_back(add_tokenizer_show(program));
  commands.push_back(add_completion(program));
  // CLI11 takes the words last one first.
  std::reverse(words.begin(), words.end());
  try {
    program.parse(words);
  } catch (const CLI::ParseError& failure) {
    return report_parse(program, failure, streams);
  }
  const auto chosen =
      std::find_if(commands.begin(), commands.end(), [](const auto& command) { return command->is_chosen(); });
  if (chosen == commands.end()) throw UsageError("no command was chosen; stoa --help lists them");
  return (*chosen)->run(streams);
}

}  // namespace

void add_experiment_words(CLI::App& app, ExperimentWords& words) {
  app.add_option("FILE", words.file, "The experiment, in YAML")->required()->type_name("");
  app.add_option("OVERRIDE", words.overrides, "Values that replace those of the file: training.steps=100")
      ->type_name("")
      ->expected(0, -1);
}

void add_threads(CLI::App& app, int& threads) {
  app.add_option("--threads", threads, "Threads to compute with; 0: as many as there are processors")
      ->type_name("N")
      ->check(CLI::Range(0, 4096));
}

void add_format(CLI::App& app, TextOrJson& format) {
  add_choice<TextOrJson>(app, "--format", format, {{"text", TextOrJson::kText}, {"json", TextOrJson::kJson}},
                         "For people or for programs");
}

CLI::App& command_group(CLI::App& program, const std::string& name, const std::string& description) {
  const auto made = program.get_subcommands([&](const CLI::App* app) { return app->get_name() == name; });
  if (!made.empty()) return *made.front();
  CLI::App* group = program.add_subcommand(name, description);
  group->require_subcommand(1);
  return *group;
}

int run_command_line(const std::vector<std::string>& words, const Streams& streams) {
  const auto complain = [&](const char* message) { fmt::print(streams.err, "stoa: error: {}\n", message); };
  try {
    return parse_and_run(words, streams);
  } catch (const Error& failure) {
    complain(failure.what());
    return exit_code(failure.kind());
  } catch (const std::filesystem::filesystem_error& failure) {
    complain(failure.what());
    return exit_code(ErrorKind::kStorage);
  } catch (const std::exception& failure) {
    complain(failure.what());
    return exit_code(ErrorKind::kInternal);
  }
}

}  // namespace stoa::launcher

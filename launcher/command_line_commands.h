#pragma once
/// The subcommands, one file each: add_X declares the words of X and returns what runs them. To add one: write
/// command_line_X.cc, declare add_X here, and add its line to command_line.cc.
#include <CLI/CLI.hpp>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "stoa/launcher/command_line.h"
#include "stoa/launcher/text_or_json.h"

namespace stoa::launcher {

/// Holds the values that its words are parsed into.
class Command {
 public:
  virtual ~Command() = default;
  virtual int run(const Streams& streams) = 0;
  bool is_chosen() const { return app_->parsed(); }

 protected:
  explicit Command(CLI::App* app) : app_(app) {}
  CLI::App& app() { return *app_; }

 private:
  CLI::App* app_;
};

/// FILE [KEY.PATH=VALUE ...]
struct ExperimentWords {
  std::string file;
  std::vector<std::string> overrides;
};
void add_experiment_words(CLI::App& app, ExperimentWords& words);
/// --threads N of the commands that compute in this process.
void add_threads(CLI::App& app, int& threads);

/// --format text or json.
void add_format(CLI::App& app, TextOrJson& format);

/// An option that is one of a few words, of which `value` is the default.
template <typename T>
void add_choice(CLI::App& app, const std::string& option, T& value, const std::map<std::string, T>& choices,
                const std::string& description) {
  std::string begins_as;
  for (const auto& [word, chosen] : choices)
    if (chosen == value) begins_as = word;
  app.add_option_function<std::string>(
         option, [&value, choices](const std::string& word) { value = choices.at(word); }, description)
      ->type_name("WORD")
      ->default_str(begins_as)
      ->check(CLI::IsMember(choices));
}

/// A subcommand like `data`, whose own subcommands are one Command each; made at the first call.
CLI::App& command_group(CLI::App& program, const std::string& name, const std::string& description);

std::unique_ptr<Command> add_validate(CLI::App& program);
std::unique_ptr<Command> add_plan(CLI::App& program);
std::unique_ptr<Command> add_verify(CLI::App& program);
std::unique_ptr<Command> add_run(CLI::App& program);
std::unique_ptr<Command> add_drill(CLI::App& program);
std::unique_ptr<Command> add_submit(CLI::App& program);
std::unique_ptr<Command> add_render(CLI::App& program);
std::unique_ptr<Command> add_supervise(CLI::App& program);
/// status, logs, cancel, pause, resume, history
std::vector<std::unique_ptr<Command>> add_runs(CLI::App& program);
std::unique_ptr<Command> add_eval(CLI::App& program);
std::unique_ptr<Command> add_sample(CLI::App& program);
/// list, show, verify, diff, prune, copy, index
std::vector<std::unique_ptr<Command>> add_checkpoints(CLI::App& program);
std::unique_ptr<Command> add_data_prepare(CLI::App& program);
/// inspect, verify, stats, merge, split
std::vector<std::unique_ptr<Command>> add_data_sets(CLI::App& program);
std::unique_ptr<Command> add_data_curate(CLI::App& program);
std::unique_ptr<Command> add_data_describe(CLI::App& program);
std::unique_ptr<Command> add_tokenizer_train(CLI::App& program);
std::unique_ptr<Command> add_tokenizer_encode(CLI::App& program);
std::unique_ptr<Command> add_tokenizer_decode(CLI::App& program);
std::unique_ptr<Command> add_tokenizer_show(CLI::App& program);
std::unique_ptr<Command> add_export(CLI::App& program);
std::unique_ptr<Command> add_import(CLI::App& program);
std::unique_ptr<Command> add_report(CLI::App& program);
std::unique_ptr<Command> add_completion(CLI::App& program);

}  // namespace stoa::launcher

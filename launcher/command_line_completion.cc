/// Completion scripts, written from the same tree of commands and options that parses the words.
#include <fmt/format.h>

#include "stoa/launcher/command_line_commands.h"

namespace stoa::launcher {
namespace {

struct CommandNode {
  std::string path;  ///< "data prepare"; "" is the program itself
  std::string description;
  std::vector<std::string> subcommands;
  std::vector<const CLI::Option*> options;
  bool takes_files = false;
};

void collect(const CLI::App& app, const std::string& path, std::vector<CommandNode>& nodes) {
  CommandNode node{.path = path, .description = app.get_description(), .subcommands = {}, .options = {}};
  for (const CLI::Option* option : app.get_options()) {
    if (!option->get_lnames().empty()) node.options.push_back(option);
    if (option->get_positional()) node.takes_files = true;
  }
  const auto subcommands = app.get_subcommands(nullptr);
  for (const CLI::App* subcommand : subcommands) node.subcommands.push_back(subcommand->get_name());
  nodes.push_back(node);
  for (const CLI::App* subcommand : subcommands)
    collect(*subcommand, path.empty() ? subcommand->get_name() : path + " " + subcommand->get_name(), nodes);
}

std::string long_options(const CommandNode& node) {
  std::string words;
  for (const CLI::Option* option : node.options) words += (words.empty() ? "--" : " --") + option->get_lnames().front();
  return words;
}

/// "at" walks down the words that name commands: the part that bash and zsh share.
std::string walk(const std::vector<CommandNode>& nodes) {
  std::string text = "    case \"$at $word\" in\n";
  for (const CommandNode& node : nodes) {
    if (node.path.empty()) continue;
    const std::size_t space = node.path.rfind(' ');
    const bool top = space == std::string::npos;
    text += fmt::format("      \"{}\") at=\"{}\" ;;\n", top ? " " + node.path : node.path, node.path);
  }
  return text + "    esac\n";
}

std::string bash_script(const std::vector<CommandNode>& nodes) {
  std::string text =
      "# Completion of stoa for bash: source <(stoa completion bash)\n"
      "_stoa() {\n"
      "  local current=${COMP_WORDS[COMP_CWORD]} at=\"\" word\n"
      "  for word in \"${COMP_WORDS[@]:1:COMP_CWORD-1}\"; do\n" +
      walk(nodes) +
      "  done\n"
      "  COMPREPLY=()\n"
      "  case \"$at\" in\n";
  for (const CommandNode& node : nodes) {
    text += fmt::format("    \"{}\")\n", node.path);
    text += fmt::format("      if [[ $current == -* ]]; then COMPREPLY=($(compgen -W \"{}\" -- \"$current\"))\n",
                        long_options(node));
    if (node.subcommands.empty())
      text += "      else compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- \"$current\"))\n";
    else
      text += fmt::format("      else COMPREPLY=($(compgen -W \"{}\" -- \"$current\"))\n",
                          fmt::join(node.subcommands, " "));
    text += "      fi ;;\n";
  }
  return text + "  esac\n}\ncomplete -F _stoa stoa\n";
}

std::string zsh_script(const std::vector<CommandNode>& nodes) {
  std::string text =
      "#compdef stoa\n"
      "# Completion of stoa for zsh: stoa completion zsh >~/.zfunc/_stoa, with fpath+=~/.zfunc before compinit.\n"
      "_stoa() {\n"
      "  local at=\"\" word\n"
      "  for word in \"${(@)words[2,CURRENT-1]}\"; do\n" +
      walk(nodes) +
      "  done\n"
      "  case \"$at\" in\n";
  for (const CommandNode& node : nodes) {
    text +=
        fmt::format("    \"{}\")\n      if [[ $PREFIX == -* ]]; then compadd -- {}\n", node.path, long_options(node));
    if (node.subcommands.empty())
      text += "      else _files\n";
    else
      text += fmt::format("      else compadd -- {}\n", fmt::join(node.subcommands, " "));
    text += "      fi ;;\n";
  }
  return text + "  esac\n}\ncompdef _stoa stoa\n";
}

std::string fish_quoted(std::string_view text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' || c == '\\' ? std::string("\\") + c : std::string(1, c);
  return quoted + "'";
}

/// The condition that the words so far name this command and none below it.
std::string fish_condition(const CommandNode& node) {
  if (node.path.empty()) return "__fish_use_subcommand";
  std::string condition;
  std::string_view rest = node.path;
  while (!rest.empty()) {
    const std::size_t space = rest.find(' ');
    condition +=
        fmt::format("{}__fish_seen_subcommand_from {}", condition.empty() ? "" : "; and ", rest.substr(0, space));
    rest.remove_prefix(space == std::string_view::npos ? rest.size() : space + 1);
  }
  if (!node.subcommands.empty())
    condition += fmt::format("; and not __fish_seen_subcommand_from {}", fmt::join(node.subcommands, " "));
  return condition;
}

std::string fish_script(const std::vector<CommandNode>& nodes) {
  std::string text = "# Completion of stoa for fish: stoa completion fish >~/.config/fish/completions/stoa.fish\n";
  for (const CommandNode& node : nodes) {
    const std::string when = fish_quoted(fish_condition(node));
    for (const CommandNode& child : nodes) {
      const std::string prefix = node.path.empty() ? "" : node.path + " ";
      const bool below = child.path.size() > prefix.size() && child.path.starts_with(prefix);
      if (below && child.path.find(' ', prefix.size()) == std::string::npos)
        text += fmt::format("complete -c stoa -n {} -f -a {} -d {}\n", when, child.path.substr(prefix.size()),
                            fish_quoted(child.description));
    }
    for (const CLI::Option* option : node.options)
      text += fmt::format("complete -c stoa -n {} -l {} -d {}\n", when, option->get_lnames().front(),
                          fish_quoted(option->get_description()));
    if (node.takes_files) text += fmt::format("complete -c stoa -n {} -F\n", when);
  }
  return text;
}

class Completion final : public Command {
 public:
  explicit Completion(CLI::App& program)
      : Command(program.add_subcommand("completion", "Write the completion script of a shell")), program_(program) {
    app()
        .add_option("SHELL", shell_, "bash, zsh or fish")
        ->required()
        ->type_name("")
        ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  }

  int run(const Streams& streams) override {
    std::vector<CommandNode> nodes;
    collect(program_, "", nodes);
    const std::string script = shell_ == "bash"  ? bash_script(nodes)
                               : shell_ == "zsh" ? zsh_script(nodes)
                                                 : fish_script(nodes);
    fmt::print(streams.out, "{}", script);
    return 0;
  }

 private:
  CLI::App& program_;
  std::string shell_;
};

}  // namespace

std::unique_ptr<Command> add_completion(CLI::App& program) { return std::make_unique<Completion>(program); }

}  // namespace stoa::launcher

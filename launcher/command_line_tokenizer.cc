#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/tokenizer_commands.h"

namespace stoa::launcher {
namespace {

CLI::App& tokenizer_group(CLI::App& program) { return command_group(program, "tokenizer", "Work on tokenizers"); }

void add_tokenizer_word(CLI::App& app, std::string& tokenizer) {
  app.add_option("TOKENIZER", tokenizer, "A tokenizer.json of GPT-2's or Llama 3's style")->required()->type_name("");
}

void add_format(CLI::App& app, IdFormat& format) {
  add_choice<IdFormat>(app, "--format", format, {{"text", IdFormat::kText}, {"binary", IdFormat::kBinary}},
                       "Of ids: decimal numbers or little-endian int32");
}

class TokenizerEncode final : public Command {
 public:
  explicit TokenizerEncode(CLI::App& group)
      : Command(group.add_subcommand("encode", "Print the token ids of text: a line for each file")) {
    add_tokenizer_word(app(), tokenizer_);
    app().add_option("FILE", files_, "Text, any bytes; - or nothing: standard input")->type_name("")->expected(0, -1);
    add_format(app(), format_);
    app().add_flag("--recognise-added-tokens", recognises_,
                   "Read <|endoftext|> and the like as these tokens; otherwise they are text, as in training data");
  }

  int run(const Streams& streams) override {
    encode_files(trainer::Tokenizer::load(tokenizer_), files_.empty() ? std::vector<std::string>{"-"} : files_, format_,
                 recognises_ ? trainer::AddedTokens::kRecognised : trainer::AddedTokens::kAsText, streams.out);
    return 0;
  }

 private:
  std::string tokenizer_;
  std::vector<std::string> files_;
  IdFormat format_ = IdFormat::kText;
  bool recognises_ = false;
};

class TokenizerDecode final : public Command {
 public:
  explicit TokenizerDecode(CLI::App& group) : Command(group.add_subcommand("decode", "Print the bytes of token ids")) {
    add_tokenizer_word(app(), tokenizer_);
    app().add_option("FILE", file_, "Ids; - or nothing: standard input")->type_name("");
    add_format(app(), format_);
  }

  int run(const Streams& streams) override {
    decode_file(trainer::Tokenizer::load(tokenizer_), file_, format_, streams.out);
    return 0;
  }

 private:
  std::string tokenizer_;
  std::string file_ = "-";
  IdFormat format_ = IdFormat::kText;
};

class TokenizerShow final : public Command {
 public:
  explicit TokenizerShow(CLI::App& group)
      : Command(group.add_subcommand("show", "Print a tokenizer's kind, size, special tokens and fingerprint")) {
    add_tokenizer_word(app(), tokenizer_);
    app().add_flag("--json", as_json_, "Print the tokenizer.json as Stoa writes it instead");
  }

  int run(const Streams& streams) override {
    show_tokenizer(trainer::Tokenizer::load(tokenizer_), as_json_ ? ShowAs::kJson : ShowAs::kSummary, streams.out);
    return 0;
  }

 private:
  std::string tokenizer_;
  bool as_json_ = false;
};

}  // namespace

std::unique_ptr<Command> add_tokenizer_encode(CLI::App& program) {
  return std::make_unique<TokenizerEncode>(tokenizer_group(program));
}
std::unique_ptr<Command> add_tokenizer_decode(CLI::App& program) {
  return std::make_unique<TokenizerDecode>(tokenizer_group(program));
}
std::unique_ptr<Command> add_tokenizer_show(CLI::App& program) {
  return std::make_unique<TokenizerShow>(tokenizer_group(program));
}

}  // namespace stoa::launcher

#include <fmt/format.h>

#include <filesystem>
#include <map>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/log.h"
#include "stoa/base/processors.h"
#include "stoa/base/units.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/trainer/data/tokenizer_training.h"

namespace stoa::launcher {
namespace {

const std::map<std::string, trainer::PreTokenizer> kPreTokenizers = {{"gpt2", trainer::PreTokenizer::kGpt2},
                                                                     {"llama3", trainer::PreTokenizer::kLlama3}};

class TokenizerTrain final : public Command {
 public:
  explicit TokenizerTrain(CLI::App& tokenizer)
      : Command(tokenizer.add_subcommand(
            "train", "Learn a byte-level BPE tokenizer.json from text or JSON lines, plain or .gz or .zst")) {
    app()
        .add_option("--text", inputs_.files, "Files: .jsonl and .ndjson are JSON lines, all others text")
        ->required()
        ->type_name("FILE");
    app()
        .add_option("--vocabulary", training_.vocabulary_size, "Entries: 256 bytes, merges and <|endoftext|>")
        ->required()
        ->type_name("N");
    app().add_option("--out", out_, "The file to make; it must not be there")->required()->type_name("FILE");
    app()
        .add_option("--pre-tokenizer", pre_tokenizer_, "Whose pattern cuts the text: gpt2 or llama3")
        ->type_name("NAME")
        ->capture_default_str()
        ->check(CLI::IsMember(kPreTokenizers));
    add_threads(app(), threads_);
    app()
        .add_option("--memory", memory_bytes_,
                    "For words and pairs; words that do not fit go through a scratch file beside --out")
        ->type_name("SIZE")
        ->default_str("2GiB")
        ->transform(CLI::AsSizeValue(false));
    app()
        .add_option("--text-field", inputs_.text_field, "Of a JSON line: the string that is the document")
        ->type_name("NAME")
        ->capture_default_str();
    app()
        .add_option("--separator", inputs_.document_separator, "In text files: the line between two documents")
        ->type_name("LINE")
        ->capture_default_str();
  }

  int run(const Streams& streams) override {
    const std::filesystem::path folder = std::filesystem::absolute(out_).parent_path();
    if (std::filesystem::exists(out_))
      throw UsageError("{}: is there already, and data sets may depend on it; name another file or remove it", out_);
    if (!std::filesystem::is_directory(folder)) throw StorageError("{}: no such folder", folder.string());
    training_.pre_tokenizer = kPreTokenizers.at(pre_tokenizer_);
    training_.threads = threads_ > 0 ? threads_ : static_cast<int>(allowed_processors().size());
    training_.memory_bytes = static_cast<std::int64_t>(memory_bytes_);
    training_.scratch_folder = folder;
    Log log(streams.err, "stoa");
    const trainer::TrainedTokenizer trained = trainer::train_tokenizer(training_, inputs_, log);
    write_file_durably(out_, trained.tokenizer.to_json());
    fmt::print(streams.out, "{}: {} entries from {} documents, {} of text\n", out_,
               format_grouped(trained.tokenizer.vocabulary_size()), format_grouped(trained.report.documents),
               format_bytes(static_cast<double>(trained.report.text_bytes)));
    return kExitFinished;
  }

 private:
  trainer::TextInputs inputs_;
  trainer::TokenizerTraining training_;
  std::string out_;
  std::string pre_tokenizer_ = "gpt2";
  int threads_ = 0;
  std::uint64_t memory_bytes_ = std::uint64_t{2} << 30;
};

}  // namespace

std::unique_ptr<Command> add_tokenizer_train(CLI::App& program) {
  return std::make_unique<TokenizerTrain>(command_group(program, "tokenizer", "Work on tokenizers"));
}

}  // namespace stoa::launcher

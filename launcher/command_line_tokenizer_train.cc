#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/base/log.h"
#include "stoa/base/processors.h"
#include "stoa/base/units.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/data_files.h"
#include "stoa/trainer/data/tokenizer_training.h"

namespace stoa::launcher {
namespace {

class TokenizerTrain final : public Command {
 public:
  explicit TokenizerTrain(CLI::App& tokenizer)
      : Command(tokenizer.add_subcommand(
            "train", "Learn a byte-level BPE tokenizer.json from text or JSON lines, plain or .gz or .zst")) {
    app()
        .add_option("--text", text_, "Files, folders or patterns; .jsonl and .ndjson are JSON lines, all others text")
        ->required()
        ->type_name("FILE");
    app()
        .add_option("--vocabulary", training_.vocabulary_size, "Entries: 256 bytes, merges and <|endoftext|>")
        ->required()
        ->type_name("N")
        ->check(CLI::Range(257, 1 << 24));
    app().add_option("--out", out_, "The file to make; it must not be there")->required()->type_name("FILE");
    add_choice<trainer::PreTokenizer>(
        app(), "--pre-tokenizer", training_.pre_tokenizer,
        {{"gpt2", trainer::PreTokenizer::kGpt2}, {"llama3", trainer::PreTokenizer::kLlama3}},
        "Whose pattern cuts the text");
    add_threads(app(), threads_);
    app()
        .add_option("--memory", memory_,
                    "For words and pairs; words that do not fit go through a scratch file beside --out")
        ->type_name("SIZE")
        ->capture_default_str();
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
    if (::access(folder.c_str(), W_OK) != 0)
      throw StorageError("{}: nothing can be written there: {}", folder.string(), errno_message(errno));
    training_.threads = threads_or_all(threads_);
    const auto memory_bytes = parse_bytes(memory_);
    if (!memory_bytes) throw UsageError("--memory {}: expected a size such as 2GiB or 500MB", memory_);
    training_.memory_bytes = *memory_bytes;
    training_.scratch_folder = folder;
    inputs_.files = text_files(text_, "--text");
    Log log(streams.err, "stoa");
    const trainer::TrainedTokenizer trained = trainer::train_tokenizer(training_, inputs_, log);
    write_file_durably(out_, trained.tokenizer.to_json());
    fmt::print(streams.out, "{}: {} entries from {} documents, {} of text\n", out_,
               format_grouped(trained.tokenizer.vocabulary_size()), format_grouped(trained.report.documents),
               format_bytes(static_cast<double>(trained.report.text_bytes)));
    return kExitFinished;
  }

 private:
  std::vector<std::string> text_;
  trainer::TextInputs inputs_;
  trainer::TokenizerTraining training_;
  std::string out_;
  int threads_ = 0;
  std::string memory_ = "2GiB";
};

}  // namespace

std::unique_ptr<Command> add_tokenizer_train(CLI::App& program) {
  return std::make_unique<TokenizerTrain>(command_group(program, "tokenizer", "Work on tokenizers"));
}

}  // namespace stoa::launcher

#include <fmt/format.h>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/trainer/curation/describe.h"
#include "stoa/trainer/data/indexed_dataset.h"
#include "stoa/trainer/data/tokenizer.h"

namespace stoa::launcher {
namespace {

class DataDescribe final : public Command {
 public:
  explicit DataDescribe(CLI::App& data)
      : Command(data.add_subcommand("describe",
                                    "Write the data sheet and the Croissant description of a curated data set "
                                    "from its record")) {
    app().add_option("RECORD", record_, "The record.json that stoa data curate left")->required()->type_name("");
    app()
        .add_option("--out", folder_,
                    "Folder of DATASHEET.md and croissant.json and of the record's files; else RECORD's")
        ->type_name("FOLDER");
    auto* prefix =
        app().add_option("--prefix", prefix_, "The tokenized data set: PREFIX.bin and PREFIX.idx")->type_name("PREFIX");
    app().add_option("--tokenizer", tokenizer_, "Its tokenizer.json")->type_name("PATH")->needs(prefix);
    prefix->needs(app().get_option("--tokenizer"));
  }

  int run(const Streams& streams) override {
    if (!std::filesystem::is_regular_file(record_))
      throw DataError("{}: there is no such file: RECORD is the record.json that stoa data curate left", record_);
    const trainer::CurationRecord record = trainer::parse_record(read_text_file(record_), record_);
    const std::filesystem::path beside = std::filesystem::path(record_).parent_path();
    const std::filesystem::path folder = folder_.empty() ? beside : std::filesystem::path(folder_);
    trainer::write_description(record, folder, tokenized());
    for (const char* name : {trainer::kDataSheetFile, trainer::kCroissantFile})
      fmt::print(streams.out, "{}\n", (folder / name).string());
    return 0;
  }

 private:
  std::optional<trainer::TokenizedFacts> tokenized() const {
    if (prefix_.empty()) return {};
    const trainer::IndexedDataset dataset(prefix_);
    const trainer::Tokenizer tokenizer = trainer::Tokenizer::load(tokenizer_);
    dataset.verify_tokens(tokenizer.vocabulary_size());
    return trainer::TokenizedFacts{prefix_, dataset.documents(), dataset.tokens(), tokenizer.fingerprint(), ""};
  }

  std::string record_, folder_, prefix_, tokenizer_;
};

}  // namespace

std::unique_ptr<Command> add_data_describe(CLI::App& program) {
  return std::make_unique<DataDescribe>(command_group(program, "data", "Work on data sets"));
}

}  // namespace stoa::launcher

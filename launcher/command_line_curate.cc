#include <fmt/format.h>

#include "stoa/base/log.h"
#include "stoa/base/processors.h"
#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/curation_recipe.h"
#include "stoa/launcher/data_files.h"
#include "stoa/trainer/curation/curate.h"

namespace stoa::launcher {
namespace {

class DataCurate final : public Command {
 public:
  explicit DataCurate(CLI::App& data)
      : Command(data.add_subcommand("curate",
                                    "Filter documents by the steps of a recipe, with a record of what was dropped")) {
    app().add_option("RECIPE", recipe_, "The recipe, in YAML")->required()->type_name("");
    app()
        .add_option("OVERRIDE", overrides_, "Values that replace those of the file: output=data/curated")
        ->type_name("")
        ->expected(0, -1);
    add_threads(app(), threads_);
    app().add_flag("--dry-run", dry_run_, "Count what each step would drop, and write nothing");
  }

  int run(const Streams& streams) override {
    trainer::CurationSettings settings = read_recipe(recipe_, overrides_);
    settings.sources.files = text_files(settings.sources.files, "sources.files");
    settings.stoa_version = STOA_VERSION;
    Log log(streams.err, "stoa");
    const SystemClock clock;
    const int threads = threads_or_all(threads_);
    const auto mode = dry_run_ ? trainer::CurationMode::kDryRun : trainer::CurationMode::kWrite;
    fmt::print(streams.out, "{}", curation_summary(curate(settings, threads, mode, log, clock)));
    return 0;
  }

 private:
  std::string recipe_;
  std::vector<std::string> overrides_;
  int threads_ = 0;
  bool dry_run_ = false;
};

}  // namespace

std::unique_ptr<Command> add_data_curate(CLI::App& program) {
  return std::make_unique<DataCurate>(command_group(program, "data", "Work on data sets"));
}

}  // namespace stoa::launcher

#include <fmt/format.h>

#include "stoa/launcher/command_line_commands.h"
#include "stoa/launcher/run_report.h"

namespace stoa::launcher {
namespace {

enum class Format { kTerminal, kHtml, kJson, kCsv };

class Report final : public Command {
 public:
  explicit Report(CLI::App& program)
      : Command(program.add_subcommand("report", "Show what a run did and cost; writes RUN/report.html")) {
    app().add_option("RUN", directory_, "The run's directory: runs/NAME")->required()->type_name("");
    add_choice<Format>(
        app(), "--format", format_,
        {{"terminal", Format::kTerminal}, {"html", Format::kHtml}, {"json", Format::kJson}, {"csv", Format::kCsv}},
        "To standard output");
    app()
        .add_option("--columns", columns_, "Width of the terminal form")
        ->type_name("NUMBER")
        ->check(CLI::Range(40, 1000))
        ->capture_default_str();
  }

  int run(const Streams& streams) override {
    const RunDirectory run{directory_};
    const cluster::RunReport report = report_of(run);
    write_file_durably(run.report(), render_html(report));
    fmt::print(streams.out, "{}", rendered(report));
    if (format_ == Format::kTerminal) fmt::print(streams.out, "\n{}\n", run.report().string());
    return 0;
  }

 private:
  std::string rendered(const cluster::RunReport& report) const {
    switch (format_) {
      case Format::kHtml:
        return render_html(report);
      case Format::kJson:
        return render_json(report);
      case Format::kCsv:
        return render_csv(report);
      case Format::kTerminal:
        break;
    }
    return render_terminal(report, {.columns = columns_, .charset = cluster::Charset::kUtf8});
  }

  std::string directory_;
  Format format_ = Format::kTerminal;
  int columns_ = 80;
};

}  // namespace

std::unique_ptr<Command> add_report(CLI::App& program) { return std::make_unique<Report>(program); }

}  // namespace stoa::launcher

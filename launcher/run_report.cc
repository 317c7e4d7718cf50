#include "stoa/launcher/run_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <sstream>

#include "stoa/base/error.h"
#include "stoa/base/units.h"
#include "stoa/cluster/machine_file.h"
#include "stoa/launcher/data_files.h"
#include "stoa/launcher/machine_choice.h"
#include "stoa/trainer/verification/layouts.h"

namespace stoa::launcher {
namespace {

std::string trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return "";
  return std::string(text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1));
}

/// "| file | package | licence | ..." of a SOURCES.md beside the text: its first three columns.
std::string source_row(std::string_view line) {
  std::string row;
  for (int column = 0; column < 3; ++column) {
    const std::size_t bar = line.find('|');
    const std::size_t next = bar == std::string_view::npos ? bar : line.find('|', bar + 1);
    if (next == std::string_view::npos) return "";
    const std::string cell = trimmed(line.substr(bar + 1, next - bar - 1));
    if (cell.empty() || cell.starts_with("---")) return "";
    row += (column == 0 ? "" : ", ") + cell;
    line.remove_prefix(next);
  }
  return row;
}

std::vector<std::string> data_sources(const trainer::DataSettings& data) {
  std::vector<std::string> folders;
  std::vector<std::string> entries;
  for (const trainer::DataSource& source : trainer::sources_of(data))
    entries.insert(entries.end(), source.text.begin(), source.text.end());
  for (const std::string& entry : entries) {
    std::error_code ignored;
    const std::filesystem::path path = entry;
    const std::string folder = (std::filesystem::is_directory(path, ignored) ? path : path.parent_path()).string();
    if (std::find(folders.begin(), folders.end(), folder) == folders.end()) folders.push_back(folder);
  }
  std::vector<std::string> sources;
  for (const std::string& folder : folders) {
    const std::filesystem::path list = std::filesystem::path(folder) / "SOURCES.md";
    if (!std::filesystem::exists(list)) continue;
    std::istringstream text(read_text_file(list));
    bool header = true;
    for (std::string line; std::getline(text, line);) {
      const std::string row = source_row(line);
      if (!row.empty() && !header) sources.push_back(row);
      if (!row.empty()) header = false;
    }
  }
  if (sources.empty())
    for (const trainer::DataSource& source : trainer::sources_of(data)) sources.push_back(source.prefix);
  return sources;
}

std::vector<cluster::ReportFact> reproduction(const Experiment& e, const RunDirectory& run) {
  std::string command = "stoa run " + run.spec().string();
  return {{.label = "Experiment", .value = run.spec().string(), .note = "every setting, resolved"},
          {.label = "Command", .value = command},
          {.label = "Seeds",
           .value = fmt::format("{} of weights and dropout, {} of the data's order", e.training.seed, e.data.seed)},
          {.label = "Layout", .value = layout_of(e), .note = "of the last attempt"},
          {.label = "Deterministic",
           .value = e.training.deterministic ? "the same bits on every layout with as many tensor ranks"
                                             : "the same bits for the same layout"},
          {.label = "Stoa", .value = STOA_VERSION}};
}

}  // namespace

std::string layout_of(const Experiment& experiment) {
  return trainer::layout_text({experiment.model, experiment.training, experiment.parallel, experiment.optimizer});
}

std::string describe_model(const trainer::ModelSettings& m) {
  const char* family = m.family == trainer::ModelFamily::kLlama ? "Llama" : "GPT-2";
  return fmt::format(
      "{} family, {} layers, width {}, {} heads ({} key-value), feed-forward {}, vocabulary {}, context {}", family,
      m.layers, m.width, m.heads, m.key_value_heads, m.feed_forward_width, m.vocabulary_size, m.context_length);
}

cluster::RunReport report_of(const RunDirectory& run) {
  if (!std::filesystem::exists(run.spec()))
    throw DataError("{}: no run: there is no spec.yaml in it", run.path.string());
  const Experiment experiment = read_experiment(run.spec());
  const cluster::ReportFacts facts{.name = experiment.name,
                                   .model = describe_model(experiment.model),
                                   .parameters = parameter_count(experiment.model),
                                   .data_sources = data_sources(experiment.data),
                                   .machine = cluster::read_machine(machine_file(experiment, run.spec())),
                                   .reproduction = reproduction(experiment, run)};
  return cluster::build_report(cluster::read_run_state(run.events()), cluster::read_metrics(run.metrics()), facts);
}

}  // namespace stoa::launcher

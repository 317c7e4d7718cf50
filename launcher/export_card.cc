#include "stoa/launcher/export_card.h"

#include <fmt/format.h>

#include "stoa/base/error.h"
#include "stoa/base/units.h"
#include "stoa/cluster/run_metrics.h"
#include "stoa/launcher/run_directory.h"
#include "stoa/launcher/run_report.h"

namespace stoa::launcher {
namespace {

constexpr const char* kHuman = "HUMAN REQUIRED";

/// One line of a table: nothing in it can end a cell or a line.
std::string cell(std::string_view text) {
  std::string safe;
  for (const char c : text) {
    if (c == '|') safe += '\\';
    safe += c == '\n' || c == '\r' ? ' ' : c;
  }
  return safe;
}

void row(std::string& card, std::string_view label, std::string_view value) {
  card += fmt::format("| {} | {} |\n", cell(label), cell(value));
}

/// The leaves of what the checkpoint remembers, each with its path.
void rows_of(std::string& card, const std::string& path, const Json& value) {
  if (value.is_object()) {
    for (const auto& [key, inner] : value.items()) rows_of(card, path.empty() ? key : path + "." + key, inner);
    return;
  }
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  if (!text.empty()) row(card, path, text);
}

void add_losses(std::string& card, const RunDirectory& run, std::int64_t step) {
  const cluster::RunMetrics metrics = cluster::read_metrics(run.metrics());
  const cluster::StepMetrics* trained = nullptr;
  for (const cluster::StepMetrics& line : metrics.steps)
    if (line.step <= step) trained = &line;
  if (trained != nullptr)
    row(card, fmt::format("Training loss at step {}", trained->step),
        fmt::format("{:.4f} nats a token", trained->loss));
  const cluster::EvaluationMetrics* judged = nullptr;
  for (const cluster::EvaluationMetrics& line : metrics.evaluations)
    if (line.step <= step) judged = &line;
  if (judged == nullptr) return;
  row(card, fmt::format("Held-out loss at step {}", judged->step),
      fmt::format("{:.4f} nats a token, perplexity {:.3f}, {:.4f} bits a byte", judged->loss, judged->perplexity,
                  judged->bits_per_byte));
}

void add_report(std::string& card, const RunDirectory& run) {
  const cluster::RunReport report = report_of(run);
  std::string table;
  for (const cluster::ReportFact& fact : report.sections.front().facts)
    row(table, fact.label, fact.value + (fact.note.empty() ? "" : " (" + fact.note + ")"));
  card +=
      "\n## The run: what it did and used\n\nOf the whole run, which may have gone on after this checkpoint.\n\n| | "
      "|\n|---|---|\n" +
      table;
}

/// Metrics and report tell nothing of a checkpoint that another run or an import made.
bool is_of(const RunDirectory& run, const std::filesystem::path& checkpoint) {
  std::error_code ignored;
  const std::filesystem::path step = std::filesystem::canonical(checkpoint, ignored);
  return !step.empty() && std::filesystem::equivalent(step.parent_path(), run.path / "checkpoints", ignored);
}

/// What cannot be told is left out: a card is not worth losing an export.
template <typename Add>
void add_if_known(std::string& card, Add add) {
  const std::string before = card;
  try {
    add();
  } catch (const Error&) {
    card = before;
  }
}

}  // namespace

std::string model_card(const CardFacts& facts) {
  const Experiment& e = facts.experiment;
  const RunDirectory run{e.run_directory};
  const checkpoint::Manifest& manifest = facts.checkpoint.manifest();
  const Json& state = manifest.state;
  const bool is_of_run = is_of(run, facts.checkpoint.folder());
  std::string card = fmt::format(
      "---\nlibrary_name: transformers\npipeline_tag: text-generation\ntags:\n- stoa\n# license, language, datasets: "
      "{}\n---\n\n"
      "# {}\n\nA language model pretrained with Stoa and exported from step {}.\n\n| | |\n|---|---|\n",
      kHuman, e.name, manifest.step);
  row(card, "Model", describe_model(e.model));
  row(card, "Architecture", facts.architecture);
  row(card, "Parameters", format_grouped(trainer::parameter_count(e.model)));
  row(card, "Stored as", facts.dtype);
  row(card, "Steps", format_grouped(manifest.step));
  if (state.is_object() && state.contains("consumed_samples") && state.at("consumed_samples").is_number_integer())
    row(card, "Tokens seen", format_grouped(state.at("consumed_samples").get<std::int64_t>() * e.model.context_length));
  if (is_of_run) add_if_known(card, [&] { add_losses(card, run, manifest.step); });
  row(card, "Checkpoint", fmt::format("made {}, manifest digest {}", manifest.created, facts.digest));
  row(card, "Exported by", "Stoa " STOA_VERSION);
  card +=
      "\n## How it was trained\n\nWhat the checkpoint itself remembers, fingerprints of the data among it.\n\n| | "
      "|\n|---|---|\n";
  rows_of(card, "", state.is_object() ? state.value("identity", Json::object()) : Json::object());
  if (is_of_run) add_if_known(card, [&] { add_report(card, run); });
  for (const char* section : {"Intended use", "Limitations, risks and biases",
                              "Training data: what it is, where from, under which licence", "Licence", "Contact"})
    card += fmt::format("\n## {}\n\n{}\n", section, kHuman);
  return card;
}

}  // namespace stoa::launcher

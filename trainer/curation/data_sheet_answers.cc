#include "stoa/trainer/curation/data_sheet_answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "stoa/base/json.h"
#include "stoa/base/units.h"

namespace stoa::trainer {
namespace {

constexpr std::size_t kMostListed = 100;

std::string quoted_recipe(const DataSheetFacts& facts, const char* key) {
  const std::string text = recipe_text(facts.record, key);
  return text.empty() ? "" : fmt::format("The recipe says: {}", markdown_text(text));
}

std::string file_list(const std::vector<FileRecord>& files) {
  std::string list;
  for (std::size_t i = 0; i < std::min(files.size(), kMostListed); ++i)
    list += fmt::format("\n- {}: {} documents, {} bytes, sha256 {}", markdown_code(files[i].path),
                        format_grouped(files[i].documents), format_grouped(files[i].size_bytes),
                        markdown_code(files[i].sha256));
  if (files.size() > kMostListed)
    list += fmt::format("\n- and {} more, which `record.json` lists",
                        format_grouped(std::int64_t(files.size() - kMostListed)));
  return list;
}

std::int64_t documents_of(const std::vector<FileRecord>& files) {
  std::int64_t documents = 0;
  for (const FileRecord& file : files) documents += file.documents;
  return documents;
}

std::string counts_list(const std::map<std::string, std::int64_t>& counts) {
  std::string list;
  for (const auto& [name, count] : counts)
    list += fmt::format("{}{} {}", list.empty() ? "" : ", ", name, format_grouped(count));
  return list;
}

std::string steps_like(const DataSheetFacts& facts, std::string_view part) {
  std::string list;
  for (const StepRecord& step : facts.record.steps)
    if (step.name.find(part) != std::string::npos) list += fmt::format("\n- {}", markdown_text(step_sentence(step)));
  return list;
}

}  // namespace

std::string answer_purpose(const DataSheetFacts& facts) { return quoted_recipe(facts, "description"); }
std::string answer_creator(const DataSheetFacts& facts) { return quoted_recipe(facts, "creator"); }
std::string answer_license(const DataSheetFacts& facts) { return quoted_recipe(facts, "license"); }
std::string answer_date(const DataSheetFacts& facts) { return quoted_recipe(facts, "date_published"); }
std::string answer_url(const DataSheetFacts& facts) { return quoted_recipe(facts, "url"); }

std::string answer_version(const DataSheetFacts& facts) {
  const std::string version = recipe_text(facts.record, "version");
  return version.empty() ? "" : fmt::format("This is version {} by the recipe.", markdown_text(version));
}

std::string answer_instances(const DataSheetFacts& facts) {
  std::string text = "An instance is one document of text.";
  if (const std::string languages = answer_languages(facts); !languages.empty()) text += " " + languages;
  return text;
}

std::string answer_counts(const DataSheetFacts& facts) {
  const CurationRecord& record = facts.record;
  std::string text =
      fmt::format("{} documents, {} bytes of text.", format_grouped(record.documents), format_grouped(record.bytes));
  if (facts.tokenized)
    text += fmt::format(" Tokenized as {}: {} documents, {} tokens of the tokenizer {}.",
                        markdown_code(facts.tokenized->prefix), format_grouped(facts.tokenized->documents),
                        format_grouped(facts.tokenized->tokens), markdown_code(facts.tokenized->tokenizer));
  return text;
}

std::string answer_sample(const DataSheetFacts& facts) {
  return fmt::format(
      "Of {} documents in {} source files {} remain; the steps under \"{}\" decide about each, none at random.",
      format_grouped(documents_of(facts.record.sources)), format_grouped(std::int64_t(facts.record.sources.size())),
      format_grouped(facts.record.documents), "Preprocessing, cleaning, labelling");
}

std::string answer_instance_data(const DataSheetFacts& facts) {
  if (facts.record.documents == 0) return "There are no documents.";
  return fmt::format("Text as the steps left it, {} bytes a document on average.",
                     format_grouped(facts.record.bytes / facts.record.documents));
}

std::string answer_changed_texts(const DataSheetFacts& facts) {
  std::string list;
  for (const StepRecord& step : facts.record.steps) {
    if (step.documents_changed == 0) continue;
    list += fmt::format("\n- {}: text of {} documents changed", markdown_text(step.name),
                        format_grouped(step.documents_changed));
    if (!step.replaced.empty())
      list += fmt::format("; places, by reason: {}", markdown_text(counts_list(step.replaced)));
  }
  return list.empty() ? "The curation changed no text." : "The curation removed or replaced parts of texts:" + list;
}

std::string answer_splits(const DataSheetFacts& facts) {
  if (!facts.tokenized || facts.tokenized->split.empty()) return "";
  return fmt::format("The tokenized set is divided by this rule: {}", markdown_text(facts.tokenized->split));
}

std::string answer_redundancies(const DataSheetFacts& facts) {
  const std::string steps = steps_like(facts, "duplicate");
  return steps.empty() ? "" : "Duplicates were looked for and dropped:" + steps;
}

std::string answer_files(const DataSheetFacts& facts) {
  if (facts.record.outputs.empty()) return "";
  return "The set is these files:" + file_list(facts.record.outputs);
}

std::string answer_languages(const DataSheetFacts& facts) {
  if (facts.record.languages.empty()) return "";
  return fmt::format("Documents by detected language (ISO 639-1): {}.",
                     markdown_text(counts_list(facts.record.languages)));
}

std::string answer_personal_data(const DataSheetFacts& facts) {
  return markdown_text(personal_data_sentence(facts.record));
}

std::string answer_sources(const DataSheetFacts& facts) {
  if (facts.record.sources.empty()) return "";
  return "Read from these files:" + file_list(facts.record.sources);
}

std::string answer_collection_tool(const DataSheetFacts& facts) {
  return fmt::format("The documents were taken from the source files by Stoa {}.",
                     markdown_text(facts.record.stoa_version));
}

std::string answer_time(const DataSheetFacts& facts) {
  return fmt::format("The record of the curation is of {}.", markdown_text(facts.record.created));
}

std::string answer_steps(const DataSheetFacts& facts) {
  if (facts.record.steps.empty()) return "";
  std::string text =
      "These steps, in this order; `record.json` has samples of what each dropped or changed.\n\n"
      "| step | version | documents in | dropped | changed | bytes in | bytes out |\n|---|---|---|---|---|---|---|\n";
  std::string settings;
  for (const StepRecord& step : facts.record.steps) {
    text += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", markdown_text(step.name), step.version,
                        format_grouped(step.documents_in), format_grouped(step.documents_dropped),
                        format_grouped(step.documents_changed), format_grouped(step.bytes_in),
                        format_grouped(step.bytes_out));
    settings += fmt::format("\n- {}: {}", markdown_text(step.name), markdown_code(step.settings.dump()));
    if (!step.reasons.empty())
      settings += fmt::format("; documents by reason: {}", markdown_text(counts_list(step.reasons)));
  }
  return text + "\nSettings:\n" + settings;
}

std::string answer_raw_data(const DataSheetFacts& facts) {
  if (facts.record.sources.empty()) return "";
  return "The curation only read the sources; `record.json` has the sha256 by which they can be known again.";
}

std::string answer_software(const DataSheetFacts& facts) {
  return fmt::format("Stoa {}; the whole recipe, with every default, is in `record.json`.",
                     markdown_text(facts.record.stoa_version));
}

std::string answer_effects_on_use(const DataSheetFacts& facts) {
  std::string list;
  for (const StepRecord& step : facts.record.steps)
    if (step.documents_dropped > 0)
      list += fmt::format("\n- {} dropped {} of {} documents", markdown_text(step.name),
                          format_grouped(step.documents_dropped), format_grouped(step.documents_in));
  return list.empty() ? "" : "What these steps drop is not in the set:" + list;
}

std::string answer_extension(const DataSheetFacts& facts) {
  if (facts.record.sources.empty()) return "";
  return "`record.json` holds what another curation needs: the recipe, the steps with their versions, and the sources' "
         "sha256.";
}

}  // namespace stoa::trainer

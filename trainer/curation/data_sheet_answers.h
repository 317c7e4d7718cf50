#pragma once
/// What a record proves, in sentences, for the data sheet and the Croissant description. Each is empty where the record
/// has nothing on it. Values are escaped for Markdown where the name says so.
#include <string>
#include <vector>

#include "stoa/trainer/curation/data_sheet.h"

namespace stoa::trainer {

struct DataSheetFacts {
  const CurationRecord& record;
  const std::optional<TokenizedFacts>& tokenized;
};

/// The recipe's string or number of this key, or empty.
std::string recipe_text(const CurationRecord& record, const char* key);
/// One line for plain text: name, version, settings, counts and reasons of a step.
std::string step_sentence(const StepRecord& step);
/// What the steps named pii looked for, what they did and what they cannot see; plain text.
std::string personal_data_sentence(const CurationRecord& record);

/// `text` on one line as Markdown code, whatever is in it; safe in a table.
std::string markdown_code(std::string_view text);
/// `text` on one line, with nothing in it that Markdown or HTML would act on.
std::string markdown_text(std::string_view text);

// Answers, in Markdown.
std::string answer_purpose(const DataSheetFacts& facts);
std::string answer_creator(const DataSheetFacts& facts);
std::string answer_instances(const DataSheetFacts& facts);
std::string answer_counts(const DataSheetFacts& facts);
std::string answer_sample(const DataSheetFacts& facts);
std::string answer_instance_data(const DataSheetFacts& facts);
std::string answer_changed_texts(const DataSheetFacts& facts);
std::string answer_splits(const DataSheetFacts& facts);
std::string answer_redundancies(const DataSheetFacts& facts);
std::string answer_files(const DataSheetFacts& facts);
std::string answer_languages(const DataSheetFacts& facts);
std::string answer_personal_data(const DataSheetFacts& facts);
std::string answer_sources(const DataSheetFacts& facts);
std::string answer_collection_tool(const DataSheetFacts& facts);
std::string answer_time(const DataSheetFacts& facts);
std::string answer_steps(const DataSheetFacts& facts);
std::string answer_raw_data(const DataSheetFacts& facts);
std::string answer_software(const DataSheetFacts& facts);
std::string answer_effects_on_use(const DataSheetFacts& facts);
std::string answer_license(const DataSheetFacts& facts);
std::string answer_date(const DataSheetFacts& facts);
std::string answer_url(const DataSheetFacts& facts);
std::string answer_version(const DataSheetFacts& facts);
std::string answer_extension(const DataSheetFacts& facts);

}  // namespace stoa::trainer

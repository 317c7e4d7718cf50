#include "stoa/trainer/curation/data_sheet.h"

#include <fmt/format.h>

#include <string_view>

#include "stoa/trainer/curation/data_sheet_questions.h"

namespace stoa::trainer {
namespace {

struct Tally {
  int whole = 0, part = 0, open = 0;
};

std::string question_text(const DataSheetQuestion& question, const DataSheetFacts& facts, Tally& tally) {
  const std::string proof = question.is == DataSheetAnswer::kNone ? "" : question.answer(facts);
  const bool is_whole = !proof.empty() && question.is == DataSheetAnswer::kWhole;
  (proof.empty() ? tally.open : is_whole ? tally.whole : tally.part) += 1;
  std::string text = fmt::format("**{}**\n\n", question.question);
  if (!proof.empty()) text += proof + "\n\n";
  if (!is_whole) text += fmt::format("HUMAN REQUIRED: {}.\n\n", question.hint);
  return text;
}

}  // namespace

std::string data_sheet_markdown(const CurationRecord& record, const std::optional<TokenizedFacts>& tokenized) {
  const DataSheetFacts facts = {record, tokenized};
  Tally tally;
  std::string sections;
  std::string_view section;
  for (const DataSheetQuestion& question : data_sheet_questions()) {
    if (section != question.section) sections += fmt::format("## {}\n\n", question.section);
    section = question.section;
    sections += question_text(question, facts, tally);
  }
  sections.pop_back();
  return fmt::format(
      "# Data sheet of {}\n\n"
      "The questions are those of Gebru et al., \"Datasheets for Datasets\" (arXiv 1803.09010). Answers are taken from "
      "the\n"
      "record of the curation (`record.json`), made by Stoa {} at {}, and claim nothing else; where a person has to\n"
      "write, the line begins with HUMAN REQUIRED.\n\n"
      "Answered: {}. In part: {}. Open: {}.\n\n{}",
      markdown_text(record.name), markdown_text(record.stoa_version), markdown_text(record.created), tally.whole,
      tally.part, tally.open, sections);
}

}  // namespace stoa::trainer

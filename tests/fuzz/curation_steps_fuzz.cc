/// The steps of a curation on any bytes: what they leave is valid UTF-8, a second pass of a step that replaces finds
/// nothing new of what the first one left whole, and a document that is kept is unchanged. The input is also a line of
/// JSON whose text is replaced: the result is JSON with the new text.
#include <cstdlib>
#include <memory>
#include <vector>

#include "stoa/base/error.h"
#include "stoa/base/json.h"
#include "stoa/tests/fuzz/fuzz_target.h"
#include "stoa/trainer/curation/c4_step.h"
#include "stoa/trainer/curation/duplicate_step.h"
#include "stoa/trainer/curation/json_lines.h"
#include "stoa/trainer/curation/language_step.h"
#include "stoa/trainer/curation/length_step.h"
#include "stoa/trainer/curation/personal_data_step.h"
#include "stoa/trainer/curation/quality_step.h"
#include "stoa/trainer/curation/repetition_step.h"
#include "stoa/trainer/curation/text_units.h"
#include "stoa/trainer/curation/utf8_step.h"
#include "stoa/trainer/data/json_documents.h"

namespace {

using namespace stoa;
using namespace stoa::trainer;

void require(bool claim) {
  if (!claim) std::abort();
}

std::vector<std::unique_ptr<DocumentStep>> all_steps() {
  std::vector<std::unique_ptr<DocumentStep>> steps;
  steps.push_back(std::make_unique<LengthStep>(LengthSettings{.most_characters = 1'000'000}));
  steps.push_back(std::make_unique<LanguageStep>(LanguageSettings{.most_bytes = 999}));
  steps.push_back(std::make_unique<C4Step>(C4Settings{.least_sentences = 0}));
  steps.push_back(std::make_unique<QualityStep>(QualitySettings{.least_words = 1}));
  steps.push_back(std::make_unique<RepetitionStep>(RepetitionSettings{}));
  steps.push_back(std::make_unique<PersonalDataStep>(PersonalDataSettings{}));
  return steps;
}

void try_text(std::string_view input) {
  static const auto steps = all_steps();
  Document repaired(input);
  Utf8Step().apply(repaired);
  require(!repaired_utf8(repaired.text()));
  const std::string text(repaired.text());
  for (const auto& step : steps) {
    Document document(text);
    const Outcome outcome = step->apply(document);
    require((outcome.kind == Outcome::Kind::kKept) == (outcome.reasons == 0));
    require(document.is_changed() == (outcome.kind == Outcome::Kind::kChanged));
    require(outcome.at <= document.text().size());
    require(!repaired_utf8(document.text()));
    require(!repaired_utf8(excerpt_of(document.text(), outcome.at, 33)));
  }
  require(folded(folded(text)) == folded(text));
  std::string quoted;
  append_json_string(quoted, text);
  require(parse_json(quoted, "quoted").get<std::string>() == text);
}

void try_line(std::string_view input) {
  JsonDocuments documents("text");
  std::vector<DocumentView> found;
  documents.append(input, "input.jsonl", 1, found);
  for (const DocumentView& view : found) {
    const std::string line = json_line_with(view.json_object, "text", "new");
    require(parse_json(line, "line").at("text") == "new");
  }
}

}  // namespace

namespace stoa::fuzz {

std::vector<std::string> seeds() {
  return {
      "One thing is here today. Is it new?\nMenu\nCall +44 20 7946 0958 or joe@example.org, 81.2.69.142.\n\n- a\n- b",
      "card 4111 1111 1111 1111 IBAN DE89 3704 0044 0532 0130 00 2a00:1450:4009:80b::200e",
      "a b c d e f a b c d e f \u4f60\u597d\u3002\u2026\u201D \xFF\xED\xA0\x80",
      R"({"id": 1.5, "text": "old \" \u00e9", "meta": {"text": ["x"]}})",
      R"({"te\u0078t":"","a":"text"})"
      "\n"
      R"({"text":"\ud83d\ude00 two"})"
      "\n"};
}

}  // namespace stoa::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try_text(input);
  try {
    try_line(input);
  } catch (const DataError&) {
  }
  return 0;
}

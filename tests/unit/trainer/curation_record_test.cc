#include "stoa/trainer/curation/curation_record.h"

#include <gmock/gmock.h>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

CurationRecord record() {
  CurationRecord made;
  made.name = "english";
  made.created = "2026-03-05T14:07:09Z";
  made.stoa_version = "0.1.0";
  made.recipe = {{"name", "english"}, {"steps", Json::array({Json{{"step", "length"}}})}};
  made.sources = {{"a.jsonl.zst", 7919, std::string(64, 'a'), 33}, {"b.txt", 0, std::string(64, 'b'), 0}};
  StepRecord step;
  step.name = "length";
  step.version = 3;
  step.settings = {{"least_words", 5}};
  step.documents_in = 33;
  step.documents_dropped = 2;
  step.documents_changed = 1;
  step.bytes_in = 6007;
  step.bytes_out = 5003;
  step.reasons = {{"too_few_words", 2}};
  step.replaced = {{"email", 7}};
  step.samples = {{"a.jsonl.zst", 17, "too_few_words", "caf\u00e9 \"quoted\"\n"}};
  made.steps = {step};
  made.outputs = {{"part-00000.jsonl.zst", 401, std::string(64, 'c'), 31}};
  made.documents = 31;
  made.bytes = 5003;
  made.languages = {{"en", 30}, {"fr", 1}};
  return made;
}

std::string refusal(const std::string& text) {
  try {
    parse_record(text, "record.json");
  } catch (const DataError& failure) {
    return failure.what();
  }
  return "accepted";
}

std::string with(const char* key, Json value) {
  Json json = record_json(record());
  json[key] = std::move(value);
  return json.dump();
}

TEST(CurationRecord, ComesBackUnchangedFromItsText) {
  const std::string text = record_text(record());
  EXPECT_EQ(record_text(parse_record(text, "record.json")), text);
  EXPECT_EQ(parse_record(text, "record.json").steps[0].samples[0].excerpt, "caf\u00e9 \"quoted\"\n");
  EXPECT_EQ(parse_record(text, "record.json").languages.at("fr"), 1);
}

TEST(CurationRecord, NamesWhatIsMissingOrOfAnotherType) {
  using testing::HasSubstr;
  EXPECT_THAT(refusal("{}"), HasSubstr("'format' is missing"));
  EXPECT_THAT(refusal(with("version", 2)), HasSubstr("version 2; this Stoa reads version 1"));
  EXPECT_THAT(refusal(with("documents", "many")), HasSubstr("'documents' must be a whole number"));
  EXPECT_THAT(refusal(with("documents", -1)), HasSubstr("'documents' is negative: -1"));
  EXPECT_THAT(refusal(with("recipe", Json::array())), HasSubstr("'recipe' must be an object"));
  Json json = record_json(record());
  json["steps"][0].erase("bytes_out");
  EXPECT_THAT(refusal(json.dump()), HasSubstr("record.json: steps[0]: 'bytes_out' is missing"));
  json = record_json(record());
  json["steps"][0]["documents_dropped"] = 34;
  EXPECT_THAT(refusal(json.dump()), HasSubstr("34 documents dropped of 33"));
}

}  // namespace
}  // namespace stoa::trainer

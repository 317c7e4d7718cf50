#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "stoa/base/durable_file.h"
#include "stoa/trainer/curation/croissant.h"
#include "stoa/trainer/curation/data_sheet.h"
#include "stoa/trainer/curation/data_sheet_statements.h"

namespace stoa::trainer {
namespace {

using testing::HasSubstr;
using testing::Not;

/// With STOA_UPDATE_GOLDEN=1 in the environment the file is written anew, to be looked at and committed.
void expect_golden(const std::string& name, const std::string& text) {
  const std::filesystem::path path = std::filesystem::path(STOA_GOLDEN_DIRECTORY) / name;
  if (std::getenv("STOA_UPDATE_GOLDEN") != nullptr) write_file_durably(path, text);
  EXPECT_TRUE(text == read_text_file(path)) << name << " differs:\n" << text;
}

CurationRecord small_record() {
  CurationRecord record;
  record.name = "english_web";
  record.created = "2026-03-05T14:07:09Z";
  record.stoa_version = "0.1.0";
  record.recipe = {{"name", "english_web"}, {"license", "CC-BY-4.0"}, {"version", "1.2.0"}};
  record.sources = {{"crawl/a.jsonl.zst", 79190, std::string(64, 'a'), 3301}, {"b.txt", 407, std::string(64, 'b'), 2}};
  StepRecord near;
  near.name = "near_duplicates";
  near.settings = {{"shingle_words", 5}, {"permutations", 128}, {"threshold", 0.8}, {"seed", 1}};
  near.documents_in = 3303;
  near.documents_dropped = 301;
  near.bytes_in = 600701;
  near.bytes_out = 500303;
  near.reasons = {{"near_duplicate", 301}};
  near.samples = {{"b.txt", 17, "near_duplicate", "a secret excerpt"}};
  StepRecord personal;
  personal.name = "pii";
  personal.version = 2;
  personal.settings = {{"email", "replace"}, {"ip", "keep"}};
  personal.documents_in = 3002;
  personal.documents_changed = 5;
  personal.bytes_in = 500303;
  personal.bytes_out = 500291;
  personal.reasons = {{"email", 5}};
  personal.replaced = {{"email", 7}};
  record.steps = {near, personal};
  record.outputs = {{"part-00000.jsonl.zst", 40100, std::string(64, 'c'), 3000},
                    {"part-00001.jsonl.zst", 401, std::string(64, 'd'), 2}};
  record.documents = 3002;
  record.bytes = 500291;
  record.languages = {{"en", 3001}, {"fr", 1}};
  return record;
}

std::size_t count_of(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST(DataSheet, AnswersWhatTheRecordProvesAndAsksAPersonForTheRest) {
  const TokenizedFacts tokenized = {"tokens/english", 3002, 117001, "0123456789abcdef", "1 of 100 documents by hash"};
  expect_golden("data_sheet.md", data_sheet_markdown(small_record(), tokenized));
}

TEST(DataSheet, HasAllQuestionsAndTheirTallyAddsUp) {
  for (const CurationRecord& record : {small_record(), CurationRecord{}}) {
    const std::string sheet = data_sheet_markdown(record);
    EXPECT_EQ(count_of(sheet, "\n**"), 57u);
    EXPECT_EQ(count_of(sheet, "\n## "), 7u);
    int whole = 0, part = 0, open = 0;
    ASSERT_EQ(std::sscanf(sheet.c_str() + sheet.find("Answered:"), "Answered: %d. In part: %d. Open: %d.", &whole,
                          &part, &open),
              3);
    EXPECT_EQ(whole + part + open, 57);
    EXPECT_EQ(count_of(sheet, "\nHUMAN REQUIRED: "), static_cast<std::size_t>(part + open));
  }
}

TEST(DataSheet, ClaimsNothingThatAnEmptyRecordDoesNotHave) {
  const std::string sheet = data_sheet_markdown(CurationRecord{});
  for (const char* claim : {"sha256", "personal", "uplicates were", "language (ISO", "Tokenized", "recipe says"})
    EXPECT_THAT(sheet, Not(HasSubstr(claim)));
}

TEST(DataSheet, QuotesNoDocumentAndLetsNoValueActAsMarkdown) {
  CurationRecord record = small_record();
  record.name = "x\n# not a heading <script>";
  record.recipe["license"] = "[here](http://example.org) | `x`";
  record.sources[0].path = "a`b\nc.jsonl";
  const std::string sheet = data_sheet_markdown(record);
  EXPECT_THAT(sheet, Not(HasSubstr("secret")));
  EXPECT_THAT(sheet, HasSubstr("# Data sheet of x \\# not a heading \\<script\\>\n"));
  EXPECT_THAT(sheet, HasSubstr("\\[here\\](http://example.org) \\| \\`x\\`"));
  EXPECT_THAT(sheet, HasSubstr("`` a`b c.jsonl ``"));
}

TEST(DataSheetStatements, HaveVersionsAndDatesOfTheirForm) {
  for (const char* version : {"", "0.0.1", "12.345.6"}) EXPECT_FALSE(check_statements({.version = version})) << version;
  for (const char* version : {"1", "1.2", "1.2.", "1.02.3", "v1.2.3", "1.2.3.4"})
    EXPECT_EQ(check_statements({.version = version})->message,
              fmt::format("version '{}' is not of the form 1.2.3", version));
  EXPECT_FALSE(check_statements({.date_published = "2026-03-05"}));
  for (const char* date : {"2026-3-5", "2026-13-05", "2026-03-32", "05.03.2026", "2026-03-05T00:00:00Z"})
    EXPECT_EQ(check_statements({.date_published = date})->key, "date_published") << date;
}

TEST(Croissant, DescribesFilesFieldsAndWhatWasDone) {
  expect_golden("croissant.json",
                croissant_text(small_record(), {{"text", "The document."}, {"source", "The file it was read from."}}));
}

TEST(Croissant, LeavesOutWhatNobodySaid) {
  CurationRecord record;
  record.name = "none";
  const Json description = croissant_description(record, {{"text", "The document."}});
  for (const char* key : {"license", "creator", "url", "version", "inLanguage", "rai:personalSensitiveInformation",
                          "rai:dataPreprocessingProtocol", "recordSet"})
    EXPECT_FALSE(description.contains(key)) << key;
  EXPECT_TRUE(description["distribution"].empty());
}

TEST(Croissant, OneFileIsTheRecordsSourceItself) {
  CurationRecord record = small_record();
  record.outputs = {{"all.jsonl.gz", 401, std::string(64, 'c'), 3002}};
  const Json description = croissant_description(record, {{"text", "The document."}});
  EXPECT_EQ(description["distribution"].size(), 1u);
  EXPECT_EQ(description["distribution"][0]["encodingFormat"],
            Json::array({"application/jsonlines", "application/gzip"}));
  EXPECT_EQ(description["recordSet"][0]["field"][0]["source"]["fileObject"]["@id"], "all.jsonl.gz");
}

}  // namespace
}  // namespace stoa::trainer

#include "stoa/trainer/curation/describe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/compress.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/data_scratch.h"

namespace stoa::trainer {
namespace {

using testing::HasSubstr;

class Describe : public testing::Test {
 protected:
  std::filesystem::path file(const std::string& name, const std::string& text) {
    OutputStream out(scratch_.path() / name);
    out.write(text);
    out.finish();
    return scratch_.path() / name;
  }
  std::string refusal(const std::filesystem::path& path) {
    try {
      croissant_fields(path);
    } catch (const DataError& error) {
      return error.what();
    }
    return "";
  }
  ScratchFolder scratch_;
};

TEST_F(Describe, FieldsAreTheKeysOfTheFirstLineWithTheirTypes) {
  const std::string line = R"({"text": "a", "words": 7, "share": 0.5, "kept": true, "tags": ["x"], "none": null})"
                           "\n";
  for (const char* name : {"a.jsonl", "a.ndjson", "a.jsonl.zst"}) {
    const std::vector<CroissantField> fields = croissant_fields(file(name, line + std::string(200003, 'x')));
    ASSERT_EQ(fields.size(), 4u) << name;
    EXPECT_EQ(fields[0].name + fields[0].data_type, "textsc:Text");
    EXPECT_EQ(fields[1].name + fields[1].data_type, "wordssc:Integer");
    EXPECT_EQ(fields[2].name + fields[2].data_type, "sharesc:Float");
    EXPECT_EQ(fields[3].name + fields[3].data_type, "keptsc:Boolean");
  }
  const std::string deep = R"({"tree": )" + std::string(901, '[') + std::string(901, ']') +
                           R"(, "meta": {"a": {"b": [{}, 1]}}, "text": "a"})";
  EXPECT_EQ(croissant_fields(file("deep.jsonl", deep + "\n")).size(), 1u);
  EXPECT_EQ(croissant_fields(file("long.jsonl", R"({"text": ")" + std::string(300007, 'a') + "\"}\n")).size(), 1u);
}

TEST_F(Describe, FilesWithoutFieldsHaveNoneAndBadOnesAreNamed) {
  EXPECT_TRUE(croissant_fields(file("empty.jsonl", "")).empty());
  EXPECT_TRUE(croissant_fields(file("plain.txt", "{not json")).empty());
  EXPECT_THAT(refusal(file("list.jsonl", "[1]\n")), HasSubstr("list.jsonl:1: the line is no JSON object"));
  EXPECT_THAT(refusal(file("broken.jsonl", "{\"text\": \n")), HasSubstr("broken.jsonl:1: line 1"));
  EXPECT_THAT(refusal(scratch_.path() / "absent.jsonl"), HasSubstr("absent.jsonl"));
}

TEST_F(Describe, WritesBothFilesWithFieldsOfTheFirstFileThatHasALine) {
  file("part-00000.jsonl.zst", "");
  file("part-00001.jsonl.zst", R"({"text": "a", "source": "b"})"
                               "\n");
  CurationRecord record;
  record.name = "two";
  record.outputs = {{"part-00000.jsonl.zst", 0, "", 0}, {"part-00001.jsonl.zst", 30, "", 1}};
  write_description(record, scratch_.path());
  EXPECT_THAT(read_text_file(scratch_.path() / "DATASHEET.md"), HasSubstr("# Data sheet of two\n"));
  const Json croissant = parse_json(read_text_file(scratch_.path() / "croissant.json"), "croissant.json");
  EXPECT_EQ(croissant["recordSet"][0]["field"][1]["name"], "source");
  EXPECT_EQ(croissant["recordSet"][0]["field"][1]["source"]["fileSet"]["@id"], "documents-files");
}

}  // namespace
}  // namespace stoa::trainer

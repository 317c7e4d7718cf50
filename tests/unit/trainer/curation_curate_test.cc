/// The engine: whole curations of small files.
#include "stoa/trainer/curation/curate.h"

#include <gmock/gmock.h>

#include "stoa/base/checksum.h"
#include "stoa/base/compress.h"
#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/curation/curated_folder.h"

namespace stoa::trainer {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string content_of(const std::filesystem::path& path) {
  InputStream stream(path);
  std::string text(1 << 22, '\0');
  text.resize(stream.read(text));
  return text;
}

std::vector<std::string> names_in(const std::filesystem::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

CurationStepSettings step(StepKind kind) {
  CurationStepSettings made;
  made.kind = kind;
  return made;
}

class Curate : public testing::Test {
 protected:
  CurationSettings settings(std::vector<std::string> files, std::vector<CurationStepSettings> steps) {
    CurationSettings made;
    made.name = "test";
    made.output = (scratch_ / "out").string();
    for (const std::string& file : files) made.sources.files.push_back((scratch_.path() / file).string());
    made.steps = std::move(steps);
    made.recipe = {{"name", "test"}, {"steps", Json::array()}};
    for (const CurationStepSettings& s : made.steps)
      made.recipe["steps"].push_back({{"step", std::string(step_name(s.kind))}});
    return made;
  }
  CurationRecord run(const CurationSettings& what, int threads = 1, CurationMode mode = CurationMode::kWrite) {
    Log log(sink_, "test");
    return curate(what, threads, mode, log, clock_);
  }
  ~Curate() override { std::fclose(sink_); }

  ScratchFolder scratch_;
  FakeClock clock_{1'772'719'629};
  std::FILE* sink_ = std::fopen("/dev/null", "w");
};

TEST_F(Curate, KeepsFieldsReplacesTextAndCountsWhatItDropped) {
  write_bytes(scratch_ / "a.jsonl",
              "{\"id\": 1.50, \"text\": \"Write to joe@example.org\", \"meta\": [\"x\"]}\n"
              "{\"id\":2,\"text\":\"short\"}\n"
              "\n"
              "{\"id\":3,\"text\":\"write  TO JOE@example.org \"}\n"
              "{\"text\":\"This one stays as it is\",\"id\":4}\n");
  write_bytes(scratch_ / "b.txt", "Plain \"text\"\nof two lines\n<|endoftext|>\nBad \xFF byte it has\n");
  CurationStepSettings length = step(StepKind::kLength);
  length.length.least_bytes = 9;
  const CurationRecord record =
      run(settings({"a.jsonl", "b.txt"}, {length, step(StepKind::kExactDuplicates), step(StepKind::kPii)}));

  EXPECT_EQ(content_of(scratch_ / "out/part-00000.jsonl.zst"),
            "{\"id\": 1.50, \"text\": \"Write to <EMAIL>\", \"meta\": [\"x\"]}\n"
            "{\"text\":\"This one stays as it is\",\"id\":4}\n"
            "{\"text\": \"Plain \\\"text\\\"\\nof two lines\"}\n"
            "{\"text\": \"Bad \uFFFD byte it has\"}\n");
  EXPECT_THAT(names_in(scratch_ / "out"), testing::IsSupersetOf({"part-00000.jsonl.zst", "record.json"}));
  EXPECT_FALSE(std::filesystem::exists(scratch_ / "out.partial"));
  ASSERT_EQ(record.steps.size(), 4U);
  EXPECT_EQ(record.steps[0].name, "utf8");
  EXPECT_EQ(record.steps[0].replaced.at("invalid_utf8"), 1);
  EXPECT_EQ(record.steps[1].reasons.at("too_few_bytes"), 1);
  EXPECT_EQ(record.steps[2].documents_in, 5);
  EXPECT_EQ(record.steps[2].documents_dropped, 1);
  ASSERT_EQ(record.steps[2].samples.size(), 1U);
  EXPECT_EQ(record.steps[2].samples[0].line, 4);
  EXPECT_EQ(record.steps[2].samples[0].excerpt, "write  TO <EMAIL> ");
  EXPECT_EQ(record.steps[3].documents_changed, 1);
  EXPECT_EQ(record.documents, 4);
  EXPECT_EQ(record.created, "2026-03-05T14:07:09Z");
  ASSERT_EQ(record.sources.size(), 2U);
  EXPECT_EQ(record.sources[0].documents, 4);
  EXPECT_EQ(record.sources[1].documents, 2);
  EXPECT_EQ(record.sources[1].sha256, sha256_of_file(scratch_ / "b.txt"));
  ASSERT_EQ(record.outputs.size(), 1U);
  EXPECT_EQ(record.outputs[0].sha256, sha256_of_file(scratch_ / "out/part-00000.jsonl.zst"));
  EXPECT_EQ(record_text(parse_record(read_bytes(scratch_ / "out/record.json"), "record")), record_text(record));
}

TEST_F(Curate, EveryStepHandsItsBytesAndDocumentsToTheNext) {
  std::string text;
  for (int i = 0; i < 501; ++i)
    text += "Document " + std::to_string(i * i % 97) + " of many has mail from a" + std::to_string(i % 7) +
            "@example.org to all of them.\n<|endoftext|>\n";
  write_bytes(scratch_ / "a.txt", text);
  const CurationRecord record = run(
      settings({"a.txt"}, {step(StepKind::kPii), step(StepKind::kExactDuplicates), step(StepKind::kNearDuplicates)}));
  for (std::size_t i = 1; i < record.steps.size(); ++i) {
    const StepRecord &before = record.steps[i - 1], &after = record.steps[i];
    EXPECT_EQ(after.documents_in, before.documents_in - before.documents_dropped);
    EXPECT_EQ(after.bytes_in, before.bytes_out);
  }
  EXPECT_EQ(record.steps.back().documents_in - record.steps.back().documents_dropped, record.documents);
  EXPECT_EQ(record.steps.back().bytes_out, record.bytes);
  EXPECT_GT(record.steps[2].documents_dropped, 400);  // 49 different squares by 97, mails masked
}

/// Documents of which many are equal but for case, some nearly equal, over several chunks of 1 MiB.
std::string many_documents() {
  std::string text;
  std::uint32_t state = 7;
  for (int i = 0; i < 9001; ++i) {
    std::string words;
    for (int w = 0; w < 40; ++w) {
      state = state * 1664525 + 1013904223;
      words += "word" + std::to_string((state >> 16) % 4001) + (w % 9 == 8 ? " the of. " : " and ");
    }
    text += words + "\n<|endoftext|>\n";
    if (i % 5 == 0) text += "  " + words + "\n<|endoftext|>\n";
    if (i % 7 == 0) text += words + "tail joe" + std::to_string(i) + "@example.org\n<|endoftext|>\n";
  }
  return text;
}

TEST_F(Curate, MakesTheSameWithAnyNumberOfThreads) {
  write_bytes(scratch_ / "a.txt", many_documents());
  CurationSettings what =
      settings({"a.txt"}, {step(StepKind::kExactDuplicates), step(StepKind::kQuality), step(StepKind::kRepetition),
                           step(StepKind::kNearDuplicates), step(StepKind::kPii)});
  what.steps[1].quality.least_words = 3;
  what.part_bytes = 1'000'003;
  std::vector<std::string> records, parts;
  for (const int threads : {1, 2, 5}) {
    std::filesystem::remove_all(what.output);
    records.push_back(record_text(run(what, threads)));
    parts.push_back(content_of(scratch_ / "out/part-00001.jsonl.zst"));
  }
  EXPECT_EQ(records[1], records[0]);
  EXPECT_EQ(records[2], records[0]);
  EXPECT_EQ(parts[1], parts[0]);
  EXPECT_EQ(parts[2], parts[0]);
  const CurationRecord record = parse_record(records[0], "record");
  EXPECT_GE(record.outputs.size(), 3U);
  EXPECT_EQ(record.steps[1].documents_dropped, 1801);
  EXPECT_GE(record.steps[4].documents_dropped, 1200);
}

TEST_F(Curate, SaysThatItIsThereAndRefusesAnotherRecipeAndOtherSources) {
  write_bytes(scratch_ / "a.txt", "Some text that stays\n");
  CurationSettings what = settings({"a.txt"}, {step(StepKind::kExactDuplicates)});
  const CurationRecord first = run(what);
  clock_.tick(3600);
  EXPECT_EQ(run(what).created, first.created);
  write_bytes(scratch_ / "a.txt", "Some text that is longer now\n");
  EXPECT_THAT(message_of<StorageError>([&] { run(what); }), HasSubstr("had 21 bytes, now it has 29"));
  what.recipe["samples"] = 3;
  EXPECT_THAT(message_of<StorageError>([&] { run(what); }), HasSubstr("by another recipe (test)"));
  std::filesystem::remove(scratch_ / "out/record.json");
  EXPECT_THAT(message_of<UsageError>([&] { run(what); }), HasSubstr("is there already"));
}

TEST_F(Curate, TakesAnOutputThatEndsInASlashAndDeepObjectsAndWritesPlainParts) {
  const std::string deep = "{\"tree\":" + std::string(901, '[') + std::string(901, ']') + ",\"text\":\"stays\"}\n";
  write_bytes(scratch_ / "a.jsonl", deep);
  CurationSettings what = settings({"a.jsonl"}, {step(StepKind::kExactDuplicates)});
  what.output += "/";
  what.compression = Compression::kNone;
  const CurationRecord record = run(what);
  EXPECT_EQ(read_bytes(scratch_ / "out/part-00000.jsonl"), deep);
  EXPECT_EQ(record.outputs.at(0).path, "part-00000.jsonl");
  EXPECT_EQ(run(what).documents, 1);
  EXPECT_THAT(names_in(scratch_.path()), ElementsAre("a.jsonl", "out"));
}

TEST_F(Curate, LeavesNothingBehindAnError) {
  write_bytes(scratch_ / "a.jsonl", "{\"text\":\"good\"}\n{\"text\":17}\n");
  EXPECT_THAT(message_of<DataError>([&] { run(settings({"a.jsonl"}, {step(StepKind::kPii)}), 2); }),
              HasSubstr("a.jsonl:2:"));
  EXPECT_THAT(names_in(scratch_.path()), ElementsAre("a.jsonl"));
  EXPECT_THROW(run(settings({"b.jsonl"}, {step(StepKind::kPii)})), DataError);
  EXPECT_THAT(names_in(scratch_.path()), ElementsAre("a.jsonl"));
}

TEST_F(Curate, ADryRunCountsAndWritesNothing) {
  write_bytes(scratch_ / "a.txt", "same\n<|endoftext|>\nsame\n");
  const CurationRecord record = run(settings({"a.txt"}, {step(StepKind::kExactDuplicates)}), 1, CurationMode::kDryRun);
  EXPECT_EQ(record.documents, 1);
  EXPECT_TRUE(record.outputs.empty());
  EXPECT_THAT(names_in(scratch_.path()), ElementsAre("a.txt"));
}

TEST_F(Curate, NothingThatStaysMakesNoParts) {
  write_bytes(scratch_ / "a.txt", "");
  const CurationRecord record = run(settings({"a.txt"}, {step(StepKind::kExactDuplicates)}));
  EXPECT_EQ(record.documents, 0);
  EXPECT_TRUE(record.outputs.empty());
  EXPECT_TRUE(std::filesystem::exists(scratch_ / "out/record.json"));
}

TEST(CuratedFolder, IsWrittenByOneProcessAndClearedOfWhatAKilledOneLeft) {
  ScratchFolder scratch;
  std::filesystem::create_directory(scratch / "out.partial");
  write_bytes(scratch / "out.partial/part-00007.jsonl.zst", "left behind");
  {
    CuratedFolder folder(scratch / "out", 1000, Compression::kZstd);
    EXPECT_THROW(CuratedFolder(scratch / "out", 1000, Compression::kZstd), ResourceError);
    folder.add("{}");
    EXPECT_EQ(folder.finish_parts().size(), 1U);
    folder.publish();
  }
  EXPECT_THAT(names_in(scratch / "out"), ElementsAre("part-00000.jsonl.zst"));
}

}  // namespace
}  // namespace stoa::trainer

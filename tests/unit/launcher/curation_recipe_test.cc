/// Recipes of curations, and `stoa data curate` on a small corpus.
#include "stoa/launcher/curation_recipe.h"

#include <gmock/gmock.h>
#include <stdlib.h>

#include <filesystem>

#include "stoa/base/compress.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/launcher/command_line.h"
#include "stoa/tests/unit/launcher/captured.h"
#include "stoa/trainer/curation/curation_record.h"

namespace stoa::launcher {
namespace {

using testing::HasSubstr;
using trainer::StepKind;

constexpr const char* kHead = "name: small\noutput: out\nsources:\n  files: [a.txt]\nsteps:\n";

trainer::CurationSettings parse(const std::string& steps, std::vector<std::string> overrides = {}) {
  YamlFile file = YamlFile::parse(kHead + steps, "recipe.yaml");
  return parse_recipe(file, overrides);
}

std::string refusal(const std::string& steps) {
  try {
    parse(steps);
  } catch (const ConfigError& failure) {
    return failure.what();
  }
  return "accepted";
}

TEST(CurationRecipe, KeepsTheOrderOfStepsAndWritesEveryDefault) {
  const auto settings =
      parse("  - step: pii\n    ip: drop\n  - step: length\n    least_words: 7\n  - step: pii\n", {"samples=3"});
  ASSERT_EQ(settings.steps.size(), 3U);
  EXPECT_EQ(settings.steps[0].kind, StepKind::kPii);
  EXPECT_EQ(settings.steps[0].pii.ip, trainer::PersonalDataAction::kDrop);
  EXPECT_EQ(settings.steps[1].length.least_words, 7);
  EXPECT_EQ(settings.samples, 3);
  YamlFile written = YamlFile::parse(recipe_yaml(settings), "written");
  EXPECT_EQ(recipe_yaml(parse_recipe(written)), recipe_yaml(settings));
  EXPECT_EQ(settings.recipe["steps"][0]["ip"], "drop");
  EXPECT_EQ(settings.recipe["steps"][1]["least_words"], 7);
  EXPECT_EQ(settings.recipe["samples"], 3);
  EXPECT_FALSE(settings.recipe.contains("license"));
}

TEST(CurationRecipe, NamesThePlaceOfWhatIsWrong) {
  EXPECT_THAT(refusal("  - step: lenght\n"), HasSubstr("recipe.yaml:6:11: steps[0].step: expected exact_duplicates, "));
  EXPECT_THAT(refusal("  - step: length\n    least_word: 7\n"),
              HasSubstr("recipe.yaml:7:5: unknown key 'steps[0].least_word'; did you mean 'least_words'"));
  EXPECT_THAT(refusal("  - step: pii\n    least_words: 7\n"), HasSubstr("unknown key 'steps[0].least_words'"));
  EXPECT_THAT(refusal("  - step: pii\n  - step: language\n    keep: [english]\n"), HasSubstr("recipe.yaml:8:"));
  EXPECT_THAT(refusal("  - step: pii\n  - step: language\n    keep: [english]\n"),
              HasSubstr("steps[1].keep: 'english' is no ISO 639-1 code"));
  EXPECT_THAT(refusal("  - step: length\n    least_words: 9\n    most_words: 8\n"),
              HasSubstr("steps[0].least_words 9 is above its upper limit 8"));
  EXPECT_THAT(refusal("  - step: near_duplicates\n    threshold: 0.2\n"), HasSubstr("steps[0].threshold: expected"));
  EXPECT_THAT(refusal("  []\n"), HasSubstr("steps: expected at least one step"));
}

TEST(CurationRecipe, EveryRecipeOfTheConfigsIsRight) {
  int recipes = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(std::filesystem::path(STOA_CONFIGS_DIRECTORY) / "curation")) {
    SCOPED_TRACE(entry.path());
    EXPECT_EQ(read_recipe(entry.path()).name, entry.path().stem());
    ++recipes;
  }
  EXPECT_GE(recipes, 1);
}

class DataCurate : public testing::Test {
 protected:
  DataCurate() {
    std::string name = (std::filesystem::temp_directory_path() / "stoa_curate_XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    std::string text;
    for (int i = 0; i < 60; ++i)
      text += "Entry " + std::to_string(i % 40) + "\nThis is the entry of a dictionary that everyone can read, and " +
              std::string(static_cast<std::size_t>(i % 40), 'x') + " is a word to have. Write to ed" +
              std::to_string(i % 40) + "@example.org for more of them.\n<|endoftext|>\n";
    text += "Ein Satz in deutscher Sprache steht hier und soll nicht bleiben, denn gefragt ist nach Englisch.\n";
    write_file_durably(folder_ / "dictionary.txt", text);
    write_file_durably(folder_ / "recipe.yaml", "name: small\noutput: " + (folder_ / "out").string() +
                                                    "\nsources:\n  files: [" + folder_.string() +
                                                    "]\nsteps:\n  - step: exact_duplicates\n  - step: language\n    "
                                                    "least_share: 0.5\n  - step: pii\n");
  }
  ~DataCurate() override { std::filesystem::remove_all(folder_); }

  struct Result {
    int code;
    std::string out, err;
  };
  Result curate(std::vector<std::string> words) {
    Captured out, err;
    words.insert(words.begin(), {"data", "curate", (folder_ / "recipe.yaml").string()});
    const int code = run_command_line(words, {.out = out.stream(), .err = err.stream()});
    return {code, out.text(), err.text()};
  }

  std::filesystem::path folder_;
};

TEST_F(DataCurate, WritesPartsRecordAndDescription) {
  const Result result = curate({"--threads", "2"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("exact_duplicate 20"));
  EXPECT_THAT(result.out, HasSubstr("other_language 1"));
  EXPECT_THAT(result.out, HasSubstr("40 documents stay"));
  const auto record = trainer::parse_record(read_text_file(folder_ / "out/record.json"), "record.json");
  EXPECT_EQ(record.languages.at("en"), 40);
  EXPECT_EQ(record.steps[3].replaced.at("email"), 40);
  EXPECT_THAT(record.steps[2].settings["detector"].get<std::string>(), HasSubstr("CLD2"));
  for (const char* file : {"DATASHEET.md", "croissant.json"})
    EXPECT_TRUE(std::filesystem::is_regular_file(folder_ / "out" / file)) << file;
  InputStream part(folder_ / "out/part-00000.jsonl.zst");
  std::string text(1 << 16, '\0');
  text.resize(part.read(text));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 40);
  EXPECT_THAT(text, HasSubstr("Write to <EMAIL> for more"));

  const Result again = curate({});
  EXPECT_EQ(again.code, 0);
  EXPECT_THAT(again.err, HasSubstr("is there already, made by this recipe"));
  const Result other = curate({"samples=1"});
  EXPECT_EQ(other.code, exit_code(ErrorKind::kStorage));
  EXPECT_THAT(other.err, HasSubstr("by another recipe (small); the first difference is /"));
}

TEST_F(DataCurate, TellsErrorsByTheirKind) {
  EXPECT_EQ(curate({"--dry-run"}).code, 0);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
  EXPECT_EQ(curate({"--threads", "many"}).code, exit_code(ErrorKind::kUsage));
  EXPECT_EQ(curate({"sample=3"}).code, exit_code(ErrorKind::kConfig));
  const Result missing = curate({"sources.files=[nowhere/*.jsonl]"});
  EXPECT_EQ(missing.code, exit_code(ErrorKind::kData));
  EXPECT_THAT(missing.err, HasSubstr("sources.files: nowhere/*.jsonl names no file"));
}

}  // namespace
}  // namespace stoa::launcher

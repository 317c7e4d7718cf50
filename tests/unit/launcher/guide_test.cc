/// docs/guide.md names what there is: every key, every exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/launcher/curation_recipe.h"
#include "stoa/launcher/experiment.h"

namespace stoa::launcher {
namespace {

using testing::HasSubstr;

const std::filesystem::path kConfigs = STOA_CONFIGS_DIRECTORY;

std::string guide() { return read_text_file(kConfigs.parent_path() / "docs/guide.md"); }

struct Key {
  std::string name;
  bool is_section;  ///< at the left margin, with keys of its own
};

/// Of text that YamlWriter wrote: strings in quotation marks are items of a list.
std::vector<Key> keys_of(const std::string& yaml) {
  std::vector<Key> keys;
  std::istringstream lines(yaml);
  for (std::string line; std::getline(lines, line);) {
    const std::size_t begin = line.find_first_not_of(" -"), end = line.find(':');
    if (begin == std::string::npos || end == std::string::npos || line[begin] == '"') continue;
    keys.push_back({line.substr(begin, end - begin), begin == 0 && end + 1 == line.size()});
  }
  return keys;
}

/// How many keys there are; each stands in the guide.
std::size_t expect_in_guide(const std::string& yaml) {
  const std::string text = guide();
  const std::vector<Key> keys = keys_of(yaml);
  for (const auto& [key, is_section] : keys) {
    if (key == "spike") continue;  // a group, named with each of its keys
    const bool is_named = text.find(is_section ? "| **" + key + "**" : "`" + key + "`") != std::string::npos;
    EXPECT_TRUE(is_named || text.find("`spike." + key + "`") != std::string::npos) << key;
  }
  return keys.size();
}

TEST(Guide, NamesEveryKeyOfAnExperiment) {
  EXPECT_GT(expect_in_guide(experiment_yaml(read_experiment(kConfigs / "quickstart.yaml"))), 50U);
}

TEST(Guide, NamesEveryKeyOfARecipe) {
  YamlFile all = YamlFile::parse(
      "name: a\noutput: b\nsources: {files: [c]}\nsteps: [{step: exact_duplicates}, {step: near_duplicates}, "
      "{step: language}, {step: length}, {step: quality}, {step: repetition}, {step: c4}, {step: pii}]\n",
      "all.yaml");
  const std::string yaml = recipe_yaml(parse_recipe(all));
  EXPECT_GT(expect_in_guide(yaml), 60U);
}

TEST(Guide, ListsTheExitCodes) {
  const std::string text = guide();
  for (int code = exit_code(ErrorKind::kInternal); code <= exit_code(ErrorKind::kResource); ++code)
    EXPECT_THAT(text, HasSubstr(fmt::format("\n| {} | {} |", code, error_kind_name(ErrorKind(code)))));
  EXPECT_THAT(text, HasSubstr(fmt::format("\n| {} | finished |", kExitFinished)));
  EXPECT_THAT(text, HasSubstr(fmt::format("\n| {} | saved |", kExitSaved)));
}

}  // namespace
}  // namespace stoa::launcher

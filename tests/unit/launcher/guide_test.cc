/// docs/guide.md names what there is: every key, every exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <sstream>

#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/launcher/experiment.h"

namespace stoa::launcher {
namespace {

using testing::HasSubstr;

const std::filesystem::path kConfigs = STOA_CONFIGS_DIRECTORY;

std::string guide() { return read_text_file(kConfigs.parent_path() / "docs/guide.md"); }

TEST(Guide, NamesEveryKeyOfAnExperiment) {
  const std::string text = guide();
  std::istringstream yaml(experiment_yaml(read_experiment(kConfigs / "quickstart.yaml")));
  int keys = 0;
  for (std::string line; std::getline(yaml, line);) {
    const std::size_t begin = line.find_first_not_of(' '), end = line.find(':');
    if (begin == std::string::npos || end == std::string::npos || line[begin] == '-') continue;
    const std::string key = line.substr(begin, end - begin);
    if (key == "spike") continue;  // a group, named with each of its keys
    const bool group = end + 1 == line.size() && begin == 0;
    EXPECT_THAT(text, testing::AnyOf(HasSubstr(group ? "| **" + key + "**" : "`" + key + "`"),
                                     HasSubstr("`spike." + key + "`")));
    ++keys;
  }
  EXPECT_GT(keys, 50);
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

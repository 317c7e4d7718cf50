/// `stoa data curate` killed at any moment: the real program.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "stoa/base/compress.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/json.h"
#include "stoa/tests/faults/kill_when.h"
#include "stoa/tests/unit/trainer/data_scratch.h"

namespace stoa::faults {
namespace {

namespace fs = std::filesystem;
using trainer::read_bytes;
using trainer::write_bytes;

std::string json_lines(unsigned seed, int documents) {
  std::mt19937 random(seed);
  std::string lines;
  for (int d = 0; d < documents; ++d) {
    std::string text;
    for (auto word = random() % 199; word > 0; --word)
      text += fmt::format("{}{} ", "bcdfglmnprst"[random() % 12], random() % 977);
    const std::string line = fmt::format("{{\"id\":{},\"text\":\"{}joe{}@example.org\"}}\n", d, text, d % 31);
    lines += d % 7 == 0 ? line + line : line;
  }
  return lines;
}

class CurateFaults : public testing::Test {
 protected:
  CurateFaults() {
    write_bytes(folder_ / "a.jsonl", json_lines(3, 6007));
    write_bytes(folder_ / "b.jsonl.zst", zstd_compressed(json_lines(4, 6007)));
    write_bytes(folder_ / "recipe.yaml",
                fmt::format("name: words\noutput: {0}/out\npart_bytes: 700001\nsources:\n  files: [{0}/a.jsonl, "
                            "{0}/b.jsonl.zst]\nsteps:\n  - step: exact_duplicates\n  - step: pii\n  - step: "
                            "near_duplicates\n",
                            folder_.path().string()));
  }

  std::unique_ptr<Process> start(int threads) {
    ProcessSettings settings;
    settings.argv = {"/bin/sh",
                     "-c",
                     "exec >/dev/null 2>\"$STOA_TEST_ERRORS\" \"$@\"",
                     "sh",
                     STOA_PROGRAM,
                     "data",
                     "curate",
                     (folder_ / "recipe.yaml").string(),
                     "--threads",
                     std::to_string(threads)};
    settings.environment = {{"STOA_TEST_ERRORS", (folder_ / "errors").string()}};
    return std::make_unique<Process>(settings);
  }

  /// Runs to the end and takes the output away: every file by name, without the time at which it was made.
  std::map<std::string, std::string> curated() {
    EXPECT_EQ(start(2)->wait().exit_code, 0) << read_bytes(folder_ / "errors");
    EXPECT_FALSE(fs::exists(folder_ / "out.partial"));
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(folder_ / "out"))
      files[entry.path().filename()] = read_bytes(entry.path());
    const std::string created = parse_json(files.at("record.json"), "record.json").at("created");
    for (auto& [name, content] : files)
      if (!name.starts_with("part-"))
        for (std::size_t at; (at = content.find(created)) != std::string::npos;) content.erase(at, created.size());
    fs::remove_all(folder_ / "out");
    return files;
  }

  trainer::ScratchFolder folder_;
};

TEST_F(CurateFaults, KilledAtManyMomentsTheNextOneMakesTheSameBytesAndLeavesNothingElse) {
  const auto expected = curated();
  ASSERT_GE(expected.size(), 10U);
  const char* const moments[] = {"out.partial",
                                 "out.partial/part-00000.jsonl.zst",
                                 "out.partial/part-00001.jsonl.zst",
                                 "out.partial/part-00003.jsonl.zst",
                                 "out.partial/part-00006.jsonl.zst",
                                 "out.partial/record.json",
                                 "out.partial/DATASHEET.md",
                                 "out.partial/croissant.json",
                                 "out"};
  int kills = 0, half_done = 0, threads = 0;
  for (const char* const moment : moments) {
    SCOPED_TRACE(moment);
    const auto process = start(1 + ++threads % 3);
    kills += kill_when(*process, [&] { return fs::exists(folder_ / moment); });
    half_done += fs::exists(folder_ / "out.partial");
    EXPECT_NE(fs::exists(folder_ / "out.partial"), fs::exists(folder_ / "out"));
    EXPECT_EQ(curated(), expected);
  }
  EXPECT_GE(kills, 5);
  EXPECT_GE(half_done, 5);
  std::vector<std::string> left;
  for (const auto& entry : fs::directory_iterator(folder_.path())) left.push_back(entry.path().filename());
  EXPECT_THAT(left, testing::UnorderedElementsAre("a.jsonl", "b.jsonl.zst", "recipe.yaml", "errors"));
}

}  // namespace
}  // namespace stoa::faults

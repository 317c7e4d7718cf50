/// `stoa data prepare` killed at any moment, on a full disk and with damaged input: the real program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <random>

#include "stoa/base/compress.h"
#include "stoa/base/durable_file.h"
#include "stoa/base/error.h"
#include "stoa/tests/faults/kill_when.h"
#include "stoa/tests/faults/small_disk.h"
#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/data/tokenizer.h"

namespace stoa::faults {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using trainer::read_bytes;
using trainer::write_bytes;

std::string words(std::mt19937& random, int count) {
  std::string text;
  for (int word = 0; word < count; ++word) text += fmt::format("{}{} ", "bcdfglmnprst"[random() % 12], random() % 977);
  return text;
}

std::string json_lines(unsigned seed, int documents) {
  std::mt19937 random(seed);
  std::string lines;
  for (int d = 0; d < documents; ++d)
    lines +=
        fmt::format("{{\"id\":{},\"text\":\"{}\\n\\u00e9\"}}\n", d, words(random, static_cast<int>(random() % 199)));
  return lines;
}

void write_gzip(const fs::path& path, std::string_view text) {
  const gzFile file = gzopen(path.c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
}

class PrepareFaults : public testing::Test {
 protected:
  PrepareFaults() {
    std::mt19937 random(5);
    std::string text;
    for (int d = 0; d < 4001; ++d) text += words(random, 101) + "\n<|endoftext|>\n";
    fs::create_directories(folder_ / "in");
    write_bytes(folder_ / "in/a.txt", text);
    write_bytes(folder_ / "in/b.jsonl", json_lines(6, 5003));
    write_gzip(folder_ / "in/c.jsonl.gz", json_lines(7, 5003));
    write_bytes(folder_ / "in/d.jsonl.zst", zstd_compressed(json_lines(8, 5003)));
    const std::string sample = words(random, 5003);
    const std::vector<std::string_view> texts = {sample};
    write_bytes(folder_ / "tokenizer.json", trainer::train_tokenizer(texts, 401).to_json());
    fs::create_directories(folder_ / "out");
  }

  std::unique_ptr<Process> start(const fs::path& prefix, int threads) {
    ProcessSettings settings;
    settings.argv = {"/bin/sh",
                     "-c",
                     "exec >/dev/null 2>\"$STOA_TEST_ERRORS\" \"$@\"",
                     "sh",
                     STOA_PROGRAM,
                     "data",
                     "prepare",
                     "--text",
                     (folder_ / "in").string(),
                     "--tokenizer",
                     (folder_ / "tokenizer.json").string(),
                     "--prefix",
                     prefix.string(),
                     "--threads",
                     std::to_string(threads)};
    settings.environment = {{"STOA_TEST_ERRORS", (folder_ / "errors").string()}};
    return std::make_unique<Process>(settings);
  }
  int prepare(const fs::path& prefix, int threads = 2) { return start(prefix, threads)->wait().exit_code; }
  std::string errors() const { return read_bytes(folder_ / "errors"); }

  static std::string file(const fs::path& prefix, const char* ending) { return read_bytes(prefix.string() + ending); }
  static std::int64_t size(const fs::path& prefix, const char* ending) {
    std::error_code failure;
    const auto bytes = fs::file_size(prefix.string() + ending, failure);
    return failure ? -1 : static_cast<std::int64_t>(bytes);
  }
  void expect_same(const fs::path& prefix, const fs::path& expected) const {
    for (const char* ending : {".bin", ".idx", ".checksums.json"})
      EXPECT_TRUE(file(prefix, ending) == file(expected, ending)) << ending;
    for (const auto& entry : fs::directory_iterator(prefix.parent_path()))
      EXPECT_NE(entry.path().extension(), ".partial") << entry.path();
  }
  fs::path whole() {
    const fs::path prefix = folder_ / "whole";
    EXPECT_EQ(prepare(prefix, 1), 0) << errors();
    return prefix;
  }

  trainer::ScratchFolder folder_;
};

TEST_F(PrepareFaults, KilledAtManyMomentsItGoesOnToTheSameBytes) {
  const fs::path expected = whole();
  std::mt19937 random(9);
  int kills = 0, gone_on = 0;
  for (int round = 0; round < 9 && (kills < 12 || gone_on < 5); ++round) {
    const fs::path prefix = folder_ / fmt::format("out/d{}", round).c_str();
    for (int attempt = 0; attempt < 20 && size(prefix, ".idx") < 0; ++attempt) {
      const std::int64_t begun = std::max<std::int64_t>(size(prefix, ".bin.partial"), 0);
      const std::int64_t journal = size(prefix, ".journal.partial");
      const auto bytes = static_cast<std::int64_t>(random() % (std::int64_t{1} << 20));
      // Either so many bytes later or right when a durable point is being made.
      const bool at_point = random() % 3 == 0;
      const auto process = start(prefix, 1 + attempt % 3);
      kills += kill_when(*process, [&] {
        return at_point ? size(prefix, ".journal.partial") > journal : size(prefix, ".bin.partial") >= begun + bytes;
      });
      gone_on += errors().find("going on after") != std::string::npos;
    }
    EXPECT_EQ(prepare(prefix), 0) << errors();
    expect_same(prefix, expected);
  }
  EXPECT_GE(kills, 12);
  EXPECT_GE(gone_on, 5);
}

TEST_F(PrepareFaults, KilledWhilePublishingItGoesOnToTheSameBytes) {
  const fs::path expected = whole();
  int kills = 0;
  const std::vector<std::pair<const char*, std::int64_t>> moments = {
      {".idx.partial", 0}, {".idx.partial", 1}, {".bin", 1}, {".checksums.json", 1}, {".idx", 1}};
  for (std::size_t m = 0; m < moments.size(); ++m) {
    fs::create_directories(folder_ / fmt::format("out{}", m).c_str());
    const fs::path prefix = folder_ / fmt::format("out{}/d", m).c_str();
    kills += kill_when(*start(prefix, 2), [&] { return size(prefix, moments[m].first) >= moments[m].second; });
    EXPECT_EQ(prepare(prefix), 0) << errors();
    expect_same(prefix, expected);
  }
  EXPECT_GE(kills, 1);
}

TEST_F(PrepareFaults, OnAFullDiskItEndsInOrderAndGoesOnOnceThereIsSpace) {
  const fs::path expected = whole(), prefix = folder_ / "out/d";
  const auto disk = SmallDisk::mount_at(folder_ / "out", "size=3m");
  if (!disk) GTEST_SKIP() << "no file system can be mounted here";
  ASSERT_GT(size(expected, ".bin"), 4 << 20);
  EXPECT_EQ(prepare(prefix), exit_code(ErrorKind::kStorage));
  EXPECT_THAT(errors(), testing::AllOf(HasSubstr("d.bin.partial"), HasSubstr("No space left on device")));
  EXPECT_EQ(size(prefix, ".idx"), -1);
  EXPECT_EQ(size(prefix, ".bin"), -1);
  ASSERT_TRUE(disk->resize("size=64m"));
  EXPECT_EQ(prepare(prefix), 0) << errors();
  EXPECT_THAT(errors(), HasSubstr("going on after"));
  expect_same(prefix, expected);
}

TEST_F(PrepareFaults, DamagedInputIsNamedAndLeavesNoDataSet) {
  const fs::path expected = whole(), prefix = folder_ / "out/d";
  for (const char* name : {"in/c.jsonl.gz", "in/d.jsonl.zst"}) {
    const std::string good = read_bytes(folder_ / name);
    std::string bad = good;
    for (std::size_t at = bad.size() / 2; at < bad.size() / 2 + 33; ++at) bad[at] = '\xAA';
    write_bytes(folder_ / name, bad);
    EXPECT_EQ(prepare(prefix), exit_code(ErrorKind::kData));
    EXPECT_THAT(errors(), testing::ContainsRegex(std::string(name) + ": byte [0-9]+: damaged"));
    EXPECT_EQ(size(prefix, ".idx"), -1);
    write_bytes(folder_ / name, good);
  }
  EXPECT_EQ(prepare(prefix), 0) << errors();
  EXPECT_THAT(errors(), HasSubstr("cannot be gone on with: number 4 of files was"));
  expect_same(prefix, expected);
}

TEST_F(PrepareFaults, TokensThatChangedOnDiskAreNotGoneOnWith) {
  const fs::path expected = whole(), prefix = folder_ / "out/d";
  ASSERT_TRUE(kill_when(*start(prefix, 2), [&] { return size(prefix, ".bin.partial") > 2 << 20; }));
  std::string bin = file(prefix, ".bin.partial");
  bin[100'003] = static_cast<char>(bin[100'003] ^ 1);
  write_bytes(prefix.string() + ".bin.partial", bin);
  EXPECT_EQ(prepare(prefix), 0) << errors();
  EXPECT_THAT(errors(), HasSubstr("d.bin.partial is not what was written"));
  expect_same(prefix, expected);
}

}  // namespace
}  // namespace stoa::faults

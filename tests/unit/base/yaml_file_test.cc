#include "stoa/base/yaml_file.h"

#include <gtest/gtest.h>

#include "stoa/base/error.h"
#include "stoa/base/yaml_fields.h"

namespace stoa {
namespace {

std::string refusal(std::string_view text) {
  try {
    YamlFile::parse(text, "a.yaml");
  } catch (const ConfigError& failure) {
    return failure.what();
  }
  return "read";
}

TEST(YamlFile, RefusesWhatIsOutsideTheSubset) {
  EXPECT_EQ(refusal("a: 1\n---\nb: 2\n"), "a.yaml:2:1: a second document begins; one is expected");
  EXPECT_EQ(refusal("- 1\n"), "a.yaml:1:1: expected 'key: value' lines");
  EXPECT_EQ(refusal("a: \xff\n"), "a.yaml:1:4: byte 0xff is not text (UTF-8 is expected)");
  EXPECT_EQ(refusal(std::string_view("a: 1\nb: \0\n", 10)), "a.yaml:2:4: byte 0x00 is not text (UTF-8 is expected)");
  EXPECT_EQ(refusal("a: \xed\xa0\x80\n"), "a.yaml:1:4: byte 0xed is not text (UTF-8 is expected)");
  EXPECT_EQ(refusal("[a]: 1\n"), "a.yaml:1:1: a key must be a word");
  EXPECT_EQ(refusal("a: " + std::string(17, '[') + std::string(17, ']')), "a.yaml:1:19: nested deeper than 16 levels");
  EXPECT_EQ(refusal(std::string((1 << 20) + 1, '#')), "a.yaml:1:1: 1048577 bytes; a settings file has at most 1048576");
}

TEST(YamlFile, RefusesBombs) {
  EXPECT_EQ(refusal("a: &a [x, x]\nb: [*a, *a]\n"), "a.yaml:1:4: anchor &a: anchors and aliases are not read");
  EXPECT_NE(refusal(std::string(100'000, '[')), "read");
  EXPECT_NE(refusal(std::string(100'000, '{')), "read");
  std::string many;
  for (int i = 0; i < 1001; ++i) many += fmt::format("k{}: 1\n", i);
  EXPECT_EQ(refusal(many), "a.yaml:1001:1: more than 1000 keys in one map");
}

TEST(YamlFile, KeepsThePlaceOfEveryValue) {
  const YamlFile file = YamlFile::parse("a:\n  b: [1, \"2\"]\n", "a.yaml");
  const YamlNode* list = file.root().find("a")->find("b");
  ASSERT_NE(list, nullptr);
  EXPECT_EQ(list->place, "a.yaml:2:6");
  EXPECT_EQ(list->items.at(1).place, "a.yaml:2:10");
  EXPECT_TRUE(list->items.at(1).quoted);
  EXPECT_EQ(file.place("a.b"), "a.yaml:2:6");
  EXPECT_EQ(file.place("a.c.d"), "a.yaml:2:3");
}

TEST(YamlFile, AnEmptyFileHasNoKeys) {
  EXPECT_TRUE(YamlFile::parse("", "a.yaml").root().entries.empty());
  EXPECT_TRUE(YamlFile::parse("# nothing\n", "a.yaml").root().entries.empty());
}

TEST(YamlFile, NamesAFileThatCannotBeRead) {
  try {
    YamlFile::read("/nowhere/a.yaml");
    FAIL() << "read";
  } catch (const ConfigError& failure) {
    EXPECT_STREQ(failure.what(), "/nowhere/a.yaml: cannot be read: No such file or directory");
  }
}

std::optional<std::int64_t> whole(std::string_view text) {
  const YamlFile file = YamlFile::parse(fmt::format("n: {}\n", text), "a.yaml");
  YamlReader reader(file);
  std::int64_t value = 0;
  reader.field("n", value, WholeRange{.least = std::numeric_limits<std::int64_t>::min()});
  try {
    reader.finish();
  } catch (const ConfigError&) {
    return std::nullopt;
  }
  return value;
}

TEST(YamlFields, WholeNumbersAreExactOrRefused) {
  EXPECT_EQ(whole("1e9"), 1'000'000'000);
  EXPECT_EQ(whole("2.5E3"), 2500);
  EXPECT_EQ(whole("-9223372036854775808"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(whole("0e5"), 0);
  EXPECT_EQ(whole("1200e-2"), 12);
  for (const char* refused : {"9223372036854775808", "1e19", "1e9999", "1e-1", "2.55e1", "1.0", "010", "1_000", "0x10",
                              "1 0", "+", "e5", ".5", "--1"})
    EXPECT_EQ(whole(refused), std::nullopt) << refused;
}

std::optional<double> real(std::string_view text) {
  const YamlFile file = YamlFile::parse(fmt::format("x: {}\n", text), "a.yaml");
  YamlReader reader(file);
  double value = 0;
  reader.field("x", value, RealRange{.least = -1e300});
  try {
    reader.finish();
  } catch (const ConfigError&) {
    return std::nullopt;
  }
  return value;
}

TEST(YamlFields, NumbersAreDecimalAndFinite) {
  EXPECT_EQ(real("3e-4"), 3e-4);
  EXPECT_EQ(real("+7"), 7.0);
  EXPECT_EQ(real("-0.5"), -0.5);
  for (const char* refused : {".inf", "inf", "nan", "1e999", "1.", ".5", "0x1p3", "1,5", "true"})
    EXPECT_EQ(real(refused), std::nullopt) << refused;
}

TEST(NearestWord, ForgivesASwapAMissingAndAWrongLetter) {
  const std::vector<std::string> known = {"steps", "global_batch", "micro_batch", "seed"};
  EXPECT_EQ(nearest_word("stesp", known), "steps");
  EXPECT_EQ(nearest_word("step", known), "steps");
  EXPECT_EQ(nearest_word("globalbatch", known), "global_batch");
  EXPECT_EQ(nearest_word("batch", known), std::nullopt);
  EXPECT_EQ(nearest_word("", known), std::nullopt);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("ab", "ba"), 1U);
}

}  // namespace
}  // namespace stoa

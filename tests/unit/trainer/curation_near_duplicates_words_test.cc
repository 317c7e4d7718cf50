#include "stoa/trainer/curation/near_duplicates_words.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

namespace stoa::trainer {
namespace {

std::vector<std::uint64_t> words_of(std::string_view text) {
  std::vector<std::uint64_t> hashes;
  for_each_word(text, 7, [&](std::uint64_t hash) { hashes.push_back(hash); });
  return hashes;
}

TEST(NearDuplicateWords, SetLayoutPunctuationAndAsciiCaseAside) {
  EXPECT_EQ(words_of("Hello, World! x86_64"), words_of("hello\n\tworld x86 64"));
  EXPECT_EQ(words_of("“caf\xC3\xA9”—nice…"), words_of("caf\xC3\xA9 nice"));
  EXPECT_EQ(words_of("\xEF\xBB\xBFone\xC2\xA0two → three"), words_of("one two three"));
  EXPECT_NE(words_of("hello world"), words_of("helloworld"));
  EXPECT_EQ(words_of("a b c d e").size(), 5u);
  EXPECT_TRUE(words_of(" \n--…。\x01").empty());
}

TEST(NearDuplicateWords, LettersOfScriptsWithSpacesMakeWords) {
  EXPECT_EQ(words_of("съешь ещё этих").size(), 3u);
  EXPECT_EQ(words_of("한국어 문장").size(), 2u);
  EXPECT_EQ(words_of("ﬁne Grüße").size(), 2u);
}

TEST(NearDuplicateWords, ScriptsWithoutSpacesHaveAWordACodePoint) {
  EXPECT_EQ(words_of("人之初,性本善。").size(), 6u);
  EXPECT_EQ(words_of("人之初，性本善"), words_of("人 之 初 性 本 善"));
  EXPECT_EQ(words_of("カタカナabc").size(), 5u);
  EXPECT_EQ(words_of("ภาษา").size(), 4u);
  EXPECT_EQ(words_of("𠀀𠀁😀").size(), 3u);
}

TEST(NearDuplicateWords, BrokenUtf8IsWordsAndNothingIsReadPastTheEnd) {
  const std::string whole =
      "ab \xE4\xBA\xBA \xF0\xA0\x80\x80 \xEF\xBC\x8C \xE2\x80\xA6 \xC2\xA0 \xFF\xC2 \xE2(\xE4\xE4";
  for (std::size_t size = 0; size <= whole.size(); ++size) {
    const auto exact = std::make_unique<char[]>(size);  // the sanitizer sees a read beyond
    whole.copy(exact.get(), size);
    EXPECT_EQ(words_of({exact.get(), size}), words_of(whole.substr(0, size)));
  }
  EXPECT_EQ(words_of("\xE4\xBA").size(), 1u);
  EXPECT_EQ(words_of("\xF0\xA0\x80").size(), 1u);
  EXPECT_EQ(words_of("\xF0\xA0\x80"), words_of("\xF0\xA0\x80 "));
}

}  // namespace
}  // namespace stoa::trainer

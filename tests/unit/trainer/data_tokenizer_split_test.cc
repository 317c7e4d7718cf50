#include "stoa/trainer/data/tokenizer_split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "stoa/tests/reference/pre_token_pattern.h"
#include "stoa/trainer/data/tokenizer_classes.h"

namespace stoa::trainer {
namespace {

using testing::ElementsAre;

std::vector<std::string> split(std::string_view text, PreTokenizer kind = PreTokenizer::kGpt2) {
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < text.size(); begin += parts.back().size())
    parts.emplace_back(text.substr(begin, pre_token_length(kind, text, begin)));
  return parts;
}

/// By pre_token_ends, `room` ends at once.
std::vector<std::string> split_many(std::string_view text, PreTokenizer kind, std::size_t room) {
  std::vector<std::string> parts;
  std::vector<std::size_t> ends(room);
  std::size_t begin = 0;
  while (const std::size_t count = pre_token_ends(kind, text, begin, ends))
    for (std::size_t i = 0; i < count; begin = ends[i++]) parts.emplace_back(text.substr(begin, ends[i] - begin));
  return parts;
}

std::vector<std::string> llama3_split(std::string_view text) { return split(text, PreTokenizer::kLlama3); }

std::vector<std::string> split_by_pattern(std::string_view text, PreTokenizer kind) {
  static const reference::Pattern gpt2(reference::written_out(reference::kGpt2Pattern));
  static const reference::Pattern llama3(reference::written_out(reference::kLlama3Pattern));
  const reference::Pattern& pattern = kind == PreTokenizer::kGpt2 ? gpt2 : llama3;
  std::vector<std::string> parts;
  for (std::size_t begin = 0; begin < text.size(); begin += parts.back().size()) {
    const std::size_t length = pattern.match(text, begin);
    if (length == 0) throw std::logic_error("a pattern does not match: " + std::string(text.substr(begin)));
    parts.emplace_back(text.substr(begin, length));
  }
  return parts;
}

using reference::append_utf8;

TEST(PreTokens, KeepOneSpaceBeforeAWord) {
  EXPECT_THAT(split("Hello  world 42x, 3rd!"), ElementsAre("Hello", " ", " world", " 42", "x", ",", " 3", "rd", "!"));
}

TEST(PreTokens, CutContractionsOfLowerCase) {
  EXPECT_THAT(split("it's we'LL they'll d'"), ElementsAre("it", "'s", " we", "'", "LL", " they", "'ll", " d", "'"));
  EXPECT_THAT(split("'tis 's 've"), ElementsAre("'t", "is", " '", "s", " '", "ve"));
}

TEST(PreTokens, LeaveTheLastSpaceToTheNextWord) {
  EXPECT_THAT(split("a \n\n b"), ElementsAre("a", " \n\n", " b"));
  EXPECT_THAT(split("a\n\nb"), ElementsAre("a", "\n", "\n", "b"));
  EXPECT_THAT(split("a  "), ElementsAre("a", "  "));
}

TEST(PreTokens, CountAnInvalidByteAsOneOtherCharacter) {
  EXPECT_THAT(split("a\xFF\xFE!b"), ElementsAre("a", "\xFF\xFE!", "b"));
  EXPECT_THAT(split("\xC3"), ElementsAre("\xC3"));
  // A cut character, an overlong form, a surrogate and a code point past the last one.
  EXPECT_THAT(split("\xE2\x82x"), ElementsAre("\xE2\x82", "x"));
  EXPECT_THAT(split("\xC0\xA0x"), ElementsAre("\xC0\xA0", "x"));
  EXPECT_THAT(split("\xE0\x82\xA0x"), ElementsAre("\xE0\x82\xA0", "x"));
  EXPECT_THAT(split("\xED\xA0\x80x"), ElementsAre("\xED\xA0\x80", "x"));
  EXPECT_THAT(split("\xF4\x90\x80\x80x"), ElementsAre("\xF4\x90\x80\x80", "x"));
}

TEST(Llama3PreTokens, TakeOneCharacterThatIsNoLetterBeforeAWord) {
  EXPECT_THAT(llama3_split("Hello  (world\t_x"), ElementsAre("Hello", " ", " (", "world", "\t", "_x"));
  EXPECT_THAT(llama3_split("\nx \tfoo\u00a0bar"), ElementsAre("\n", "x", " ", "\tfoo", "\u00a0bar"));
  EXPECT_THAT(llama3_split("a\xFF"
                           "b\xFF\xFE"),
              ElementsAre("a",
                          "\xFF"
                          "b",
                          "\xFF\xFE"));
}

TEST(Llama3PreTokens, CutContractionsOfAnyCase) {
  EXPECT_THAT(llama3_split("it's WE'LL I'Ve"), ElementsAre("it", "'s", " WE", "'LL", " I", "'Ve"));
  EXPECT_THAT(llama3_split("'\u017fx 'L 'k"), ElementsAre("'\u017f", "x", " '", "L", " '", "k"));
}

TEST(Llama3PreTokens, CutNumbersByThreeDigits) {
  EXPECT_THAT(llama3_split("x12345 67"), ElementsAre("x", "123", "45", " ", "67"));
}

TEST(Llama3PreTokens, EndAtTheLastLineEndOfARunOfSpaces) {
  EXPECT_THAT(llama3_split("a;\r\n\n  b"), ElementsAre("a", ";\r\n\n", " ", " b"));
  EXPECT_THAT(llama3_split("\n\n  \n x  "), ElementsAre("\n\n  \n", " x", "  "));
}

/// PCRE2's Unicode may be older: what it does not know yet may be anything.
TEST(CharacterClasses, AreThoseOfPcre2WhereItKnowsTheCharacter) {
  const reference::Pattern letter("\\p{L}");
  const reference::Pattern number("\\p{N}");
  const reference::Pattern space("\\p{White_Space}");
  const reference::Pattern unknown("\\p{Cn}");
  int known = 0;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(text, c);
    if (unknown.match(text, 0) > 0) continue;
    const CharacterClass expected = letter.match(text, 0) > 0   ? CharacterClass::kLetter
                                    : number.match(text, 0) > 0 ? CharacterClass::kNumber
                                    : space.match(text, 0) > 0  ? CharacterClass::kSpace
                                                                : CharacterClass::kOther;
    ASSERT_EQ(character_classes()(c), expected) << static_cast<unsigned>(c);
    ++known;
  }
  EXPECT_GT(known, 144'000);
}

TEST(CharacterClasses, KnowWhatUnicodeAddedAfterPcre2) {
  EXPECT_EQ(character_classes()(U'\U00031350'), CharacterClass::kLetter);  // CJK extension H, Unicode 15
  EXPECT_EQ(character_classes()(U'\u180e'), CharacterClass::kOther);
  EXPECT_EQ(character_classes()(U'\u0085'), CharacterClass::kSpace);
  EXPECT_EQ(character_classes()(U'\u200b'), CharacterClass::kOther);
  EXPECT_TRUE(character_classes().is_of_a_word(U'_'));
  EXPECT_TRUE(character_classes().is_of_a_word(U'\u0301'));
  EXPECT_FALSE(character_classes().is_of_a_word(U'\u00bd'));
}

class PreTokensOfBothKinds : public testing::TestWithParam<PreTokenizer> {};
INSTANTIATE_TEST_SUITE_P(Kinds, PreTokensOfBothKinds, testing::Values(PreTokenizer::kGpt2, PreTokenizer::kLlama3),
                         [](const auto& kind) { return kind.param == PreTokenizer::kGpt2 ? "Gpt2" : "Llama3"; });

/// The hand-written splitter against the pattern itself, on every code point in several surroundings.
TEST_P(PreTokensOfBothKinds, AreThoseOfThePatternForEveryCodePoint) {
  for (char32_t page = 0; page < 0x110000; page += 0x400) {
    std::string text;
    for (char32_t c = page; c < page + 0x400; ++c) {
      if (c >= 0xD800 && c < 0xE000) continue;
      text += 'a';
      append_utf8(text, c);
      append_utf8(text, c);
      text += "b ";
      append_utf8(text, c);
      text += "1  ";
      append_utf8(text, c);
      text += '\'';
    }
    const std::vector<std::string> expected = split_by_pattern(text, GetParam());
    ASSERT_EQ(split(text, GetParam()), expected) << "code points from " << static_cast<unsigned>(page);
    ASSERT_EQ(split_many(text, GetParam(), 33), expected) << "code points from " << static_cast<unsigned>(page);
  }
}

TEST_P(PreTokensOfBothKinds, AreThoseOfThePatternForRandomText) {
  std::mt19937 random(33);
  const std::vector<std::string> parts = {
      " ",      "  ",     "\n",     "\t",     "\r\n",   "'",      "s",      "t",   "re", "ve",
      "ll",     "LL",     "d",      "m",      "a",      "Z",      "0",      "9",   ".",  "--",
      "é",      "ß",      "日",     "٣",      "²",      "🙂",   "\u017f", "S",   "VE", "\xE1\x9C\xB0",
      "\u00a0", "\u3000", "\u2028", "\u0085", "\u180e", "\u200b", "\u0301", "\x1c"};
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (unsigned length = random() % 33; length > 0; --length) text += parts[random() % parts.size()];
    const std::vector<std::string> expected = split_by_pattern(text, GetParam());
    ASSERT_EQ(split(text, GetParam()), expected) << text;
    ASSERT_EQ(split_many(text, GetParam(), 1 + random() % 50), expected) << text;
  }
}

/// Long enough for 64 bytes at once in any position, of few characters so that each rule meets each other.
TEST_P(PreTokensOfBothKinds, AreThoseOfThePatternForLongAsciiText) {
  std::mt19937 random(34);
  const std::vector<std::string> alphabets = {" \n\r\tab.1'",
                                              "  \n",
                                              "'sStTrReEvVlLmMdD ",
                                              " \n.(",
                                              "12345 ,a",
                                              "ab '",
                                              "  \t\n\r\v\f\x1c\x7f\x01"
                                              "Az@[`{09/:",
                                              "abcdefghi   \n\n.'s8"};
  for (int round = 0; round < 4'000; ++round) {
    const std::string& alphabet = alphabets[random() % alphabets.size()];
    std::string text;
    for (unsigned length = random() % 299; length > 0; --length) {
      if (random() % 150 == 0) text += random() % 2 == 0 ? "\u00e9" : "\u2019";
      text += alphabet[random() % alphabet.size()];
    }
    const std::vector<std::string> expected = split_by_pattern(text, GetParam());
    ASSERT_EQ(split(text, GetParam()), expected) << text;
    ASSERT_EQ(split_many(text, GetParam(), 1 + random() % 99), expected) << text;
  }
}

}  // namespace
}  // namespace stoa::trainer

/// The steps that look at one document, but for personal data and language.
#include <gmock/gmock.h>

#include "stoa/trainer/curation/c4_step.h"
#include "stoa/trainer/curation/length_step.h"
#include "stoa/trainer/curation/quality_step.h"
#include "stoa/trainer/curation/repetition_step.h"
#include "stoa/trainer/curation/text_units.h"
#include "stoa/trainer/curation/utf8_step.h"

namespace stoa::trainer {
namespace {

/// "kept", or "dropped: REASON", or "changed: REASON REASON -> TEXT".
std::string result(DocumentStep& step, std::string_view text) {
  Document document(text);
  const Outcome outcome = step.apply(document);
  if (outcome.kind == Outcome::Kind::kKept) return document.is_changed() ? "changed in secret" : "kept";
  std::string shown = outcome.kind == Outcome::Kind::kDropped ? "dropped:" : "changed:";
  for (std::size_t r = 0; r < step.reasons().size(); ++r)
    if ((outcome.reasons >> r & 1) != 0) shown += " " + std::string(step.reasons()[r]);
  if (outcome.kind == Outcome::Kind::kChanged) shown += " -> " + std::string(document.text());
  return shown;
}

std::string repeated(std::string_view part, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += part;
  return text;
}

/// English without repetition: sentence i differs from the others in every fifth word.
std::string prose(int sentences) {
  std::string text;
  for (int i = 0; i < sentences; ++i) {
    const std::string n = std::to_string(7919 * (i + 1));
    text +=
        "Of all places n" + n + " and that p" + n + " have q" + n + " the r" + n + " with s" + n + " to t" + n + ".\n";
  }
  return text;
}

TEST(TextUnits, AWordIsARunWithoutAnySpaceOfUnicode) {
  std::vector<std::string> words;
  const std::string text = " a\u00A0b,\u3000\u00e9t\u00e9\u2028\u4f60\u597d\n\n7! ";
  for_each_word(text, [&](const Word& word) {
    words.push_back(text.substr(word.begin, word.end - word.begin) + "/" + std::to_string(word.characters) +
                    (word.has_letter ? "L" : ""));
  });
  EXPECT_THAT(words, testing::ElementsAre("a/1L", "b,/2L", "\u00e9t\u00e9/3L", "\u4f60\u597d/2L", "7!/2"));
}

TEST(TextUnits, EmojiAndSignsAreNoLetters) {
  for (const char32_t c : {U'\u00D7', U'\u2014', U'\u2192', U'\u2713', U'\u3001', U'\uFE0F', U'\uFF01', U'\U0001F600',
                           U'7', U'_', U'\uFFFD', U'\uE000'})
    EXPECT_FALSE(is_letter(c)) << static_cast<unsigned>(c);
  for (const char32_t c :
       {U'Z', U'\u00DF', U'\u0416', U'\u05D0', U'\u0E01', U'\u3042', U'\u4E00', U'\uAC00', U'\U00020000'})
    EXPECT_TRUE(is_letter(c)) << static_cast<unsigned>(c);
}

TEST(Utf8Step, ReplacesEachLongestInvalidPart) {
  Utf8Step step;
  EXPECT_EQ(result(step, "plain and \u00fcber \U0001F600"), "kept");
  EXPECT_EQ(result(step,
                   "a\xFF"
                   "b"),
            "changed: invalid_utf8 -> a\uFFFDb");
  EXPECT_EQ(result(step, "\xE2\x82"), "changed: invalid_utf8 -> \uFFFD");                    // cut off
  EXPECT_EQ(result(step, "\xC0\xAF"), "changed: invalid_utf8 -> \uFFFD\uFFFD");              // overlong
  EXPECT_EQ(result(step, "\xED\xA0\x80x"), "changed: invalid_utf8 -> \uFFFD\uFFFD\uFFFDx");  // a surrogate
  EXPECT_EQ(result(step, "\xF0\x9F\x98z"), "changed: invalid_utf8 -> \uFFFDz");
}

TEST(LengthStep, CountsBytesCharactersAndWords) {
  LengthStep characters({.least_characters = 3, .most_characters = 4});
  EXPECT_EQ(result(characters, "\u4f60\u597d"), "dropped: too_few_characters");  // 6 bytes
  EXPECT_EQ(result(characters, "\u4f60\u597d\u4f60\u597d"), "kept");
  EXPECT_EQ(result(characters, "abcde"), "dropped: too_many_characters");
  LengthStep words({.least_words = 2, .most_words = 3});
  EXPECT_EQ(result(words, "  one\n"), "dropped: too_few_words");
  EXPECT_EQ(result(words, "a b c d"), "dropped: too_many_words");
  LengthStep bytes({.least_bytes = 3});
  EXPECT_EQ(result(bytes, "ab"), "dropped: too_few_bytes");
  EXPECT_EQ(result(bytes, repeated("abc ", 999)), "kept");  // no upper limit
}

TEST(QualityStep, KeepsProseAndNamesTheRuleThatABadTextBreaks) {
  QualityStep step({});
  EXPECT_EQ(result(step, prose(11)), "kept");
  EXPECT_EQ(result(step, prose(2)), "dropped: too_few_words");
  EXPECT_EQ(result(step, repeated("the of a I ", 17)), "dropped: mean_word_length");
  EXPECT_EQ(result(step, prose(5) + repeated("# ", 13)), "dropped: symbols");
  EXPECT_EQ(result(step, prose(5) + repeated("wait... ", 13)), "dropped: symbols");
  EXPECT_EQ(result(step, repeated("- the things of this world\n", 17)), "dropped: bullet_lines");
  EXPECT_EQ(result(step, repeated("the things and many words of this great world that we have seen \u2026\n", 17)),
            "dropped: ellipsis_lines");
  EXPECT_EQ(result(step, prose(5) + repeated("2026 ", 33)), "dropped: alphabetic_words");
  EXPECT_EQ(result(step, repeated("Lange deutsche Worte ohne jene Funktion\n", 17)), "dropped: stop_words");
}

TEST(QualityStep, StopWordsAreDifferentOnesWithoutCaseAndPunctuation) {
  QualityStep step({.least_words = 1});
  EXPECT_EQ(result(step, "\"The\" house (of) cards"), "kept");
  EXPECT_EQ(result(step, "the house, the cards, the table"), "dropped: stop_words");
}

TEST(QualityStep, TextWithoutSpacesHasWordsThatAreTooLong) {
  QualityStep step({.least_words = 1});
  EXPECT_EQ(result(step, "\u4eca\u65e5\u306f\u3068\u3066\u3082\u3044\u3044\u5929\u6c17\u3067\u3059\u306d\u3002"),
            "dropped: mean_word_length");
}

TEST(QualityStep, AnEmptyTextBreaksNoArithmetic) {
  QualityStep step({.least_words = 0, .least_stop_words = 0});
  EXPECT_EQ(result(step, ""), "kept");
  EXPECT_EQ(result(step, " \n \n"), "kept");
}

TEST(RepetitionStep, FindsLinesParagraphsAndNGrams) {
  RepetitionStep step({});
  EXPECT_EQ(result(step, prose(33)), "kept");
  EXPECT_EQ(result(step, ""), "kept");
  EXPECT_EQ(result(step, "a\nb\nc\na \n a\nb\n"), "dropped: duplicate_lines");
  // One paragraph of four returns, its lines in another order: two thirds of the lines are new.
  EXPECT_EQ(result(step, "a1\n\nb2\n\nc3\nd4 and more than that\n\na1\n\nb2\n"), "dropped: duplicate_lines");
  RepetitionStep lines_aside({.duplicate_lines = 1, .duplicate_line_characters = 1});
  EXPECT_EQ(result(lines_aside, "a1\n\nb2\n\nc3\n\n\na1\nb2\n\na1\n\nb2\n"), "dropped: duplicate_paragraphs");
  EXPECT_EQ(result(step, prose(7) + repeated("buy now ", 33)), "dropped: top_2_gram");
}

TEST(RepetitionStep, CountsCharactersInOverlappingDuplicatesOnce) {
  // 20 words of 4 characters, then the first 10 of them again, joined in one line: 10 of 30 words are duplicates.
  std::string text;
  for (int i = 0; i < 20; ++i) text += "w" + std::to_string(100 + i) + " ";
  text += text.substr(0, 50);
  const RepetitionSettings loose{.top_2_gram = 1,
                                 .top_3_gram = 1,
                                 .top_4_gram = 1,
                                 .duplicate_5_grams = 0.34,
                                 .duplicate_6_grams = 1,
                                 .duplicate_7_grams = 1,
                                 .duplicate_8_grams = 1,
                                 .duplicate_9_grams = 1,
                                 .duplicate_10_grams = 1};
  RepetitionStep above(loose);
  EXPECT_EQ(result(above, text), "kept");
  RepetitionSettings strict = loose;
  strict.duplicate_5_grams = 0.33;
  RepetitionStep below(strict);
  EXPECT_EQ(result(below, text), "dropped: duplicate_5_grams");
  strict.duplicate_5_grams = 1;
  strict.duplicate_10_grams = 0.33;
  RepetitionStep longest(strict);
  EXPECT_EQ(result(longest, text), "dropped: duplicate_10_grams");
}

const std::string kThree = "One thing is here today. Is it a new one? Yes, it is new!\n";

TEST(C4Step, RemovesLinesAndKeepsTheOthersByteForByte) {
  C4Step step({});
  EXPECT_EQ(result(step, kThree), "kept");
  EXPECT_EQ(
      result(step, "Menu\n" + kThree + "\r\nHome | About us | Contact us all\r\n  He said \"it is all over now.\"\r\n"),
      "changed: no_end_punctuation -> " + kThree + "\r\n  He said \"it is all over now.\"\r\n");
  EXPECT_EQ(result(step, kThree + "Too few words."), "changed: too_few_words_in_line -> " + kThree);
  EXPECT_EQ(result(step, kThree + "Please enable JavaScript to see this page.\nAnd so it goes on here.\n"),
            "changed: bad_line -> " + kThree + "And so it goes on here.\n");
  EXPECT_EQ(result(step, kThree + "It goes on and on and on..."), "changed: no_end_punctuation -> " + kThree);
  EXPECT_EQ(result(step, kThree + "A word of " + std::string(1001, 'x') + " is no word."),
            "changed: word_too_long -> " + kThree);
}

TEST(C4Step, DropsPages) {
  C4Step step({});
  EXPECT_EQ(result(step, kThree + "Lorem Ipsum is a text for nothing."), "dropped: bad_page");
  EXPECT_EQ(result(step, kThree + "int main() { return 0; }"), "dropped: braces");
  EXPECT_EQ(result(step, "One thing is here today. Version 3.14 is a new one.\n"), "dropped: too_few_sentences");
  C4Step braces_stay({.drop_braces = false});
  EXPECT_EQ(result(braces_stay, kThree + "A set {a, b} is no program at all.\n"), "kept");
}

}  // namespace
}  // namespace stoa::trainer

#include <gmock/gmock.h>

#include "stoa/trainer/curation/language_step.h"

namespace stoa::trainer {
namespace {

const std::string kEnglish =
    "The quick brown fox jumps over the lazy dog, and then it sits down to think about what it has done today. ";
const std::string kGerman =
    "Der schnelle braune Fuchs springt \u00fcber den faulen Hund und denkt dann dar\u00fcber nach, was er heute getan "
    "hat. ";

std::string language_of(const LanguageSettings& settings, const std::string& text) {
  LanguageStep step(settings);
  Document document(text);
  const Outcome outcome = step.apply(document);
  if (outcome.kind == Outcome::Kind::kKept) return document.language;
  for (std::size_t r = 0; r < step.reasons().size(); ++r)
    if ((outcome.reasons >> r & 1) != 0) return std::string(step.reasons()[r]);
  return "no reason";
}

TEST(LanguageStep, KeepsWhatIsAskedForAndSaysWhichItWas) {
  EXPECT_EQ(language_of({}, kEnglish), "en");
  EXPECT_EQ(language_of({}, kGerman), "other_language");
  EXPECT_EQ(language_of({.keep = {"de", "en"}}, kGerman), "de");
  EXPECT_EQ(language_of({.keep = {"he"}},
                        "\u05e9\u05dc\u05d5\u05dd \u05dc\u05db\u05d5\u05dc\u05dd, \u05de\u05d4 "
                        "\u05e9\u05dc\u05d5\u05de\u05db\u05dd \u05d4\u05d9\u05d5\u05dd?"),
            "he");
  EXPECT_EQ(language_of({.keep = {"zh"}},
                        "\u4eca\u5929\u5929\u6c14\u5f88\u597d\uff0c\u6211\u4eec\u53bb\u516c\u56ed"
                        "\u6563\u6b65\u5427\u3002"),
            "zh");
}

TEST(LanguageStep, AsksForTheShareOfTheText) {
  const std::string mixed = kEnglish + kEnglish + kGerman + kGerman;
  EXPECT_EQ(language_of({.least_share = 0.9}, mixed), "low_share");
  EXPECT_EQ(language_of({.least_share = 0.3}, mixed), "en");
}

TEST(LanguageStep, LooksAtTheFirstBytesAndCutsNoCharacter) {
  std::string text = kEnglish;
  for (int i = 0; i < 33; ++i) text += kGerman;
  EXPECT_EQ(language_of({.most_bytes = 100}, text), "en");
  EXPECT_EQ(language_of({}, text), "low_share");
  const std::string umlauts = "\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc\u00fc";
  EXPECT_EQ(language_of({.most_bytes = 17}, umlauts), "other_language");  // unknown, and not an error
}

TEST(LanguageStep, ReadsTextWithControlCharactersAndNoncharacters) {
  EXPECT_EQ(language_of({}, kEnglish + "\f\x01\u0085\uFFFE" + kEnglish), "en");
  EXPECT_EQ(language_of({}, std::string(33, '\0')), "other_language");
  EXPECT_EQ(language_of({}, ""), "other_language");
}

TEST(LanguageStep, KnowsTwoLetterCodes) {
  for (const char* code : {"en", "de", "zh", "he", "ja", "sv"}) EXPECT_TRUE(language_is_known(code)) << code;
  for (const char* code : {"", "e", "english", "iw", "xx", "un", "EN"}) EXPECT_FALSE(language_is_known(code)) << code;
}

}  // namespace
}  // namespace stoa::trainer

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/data/tokenizer.h"
#include "stoa/trainer/data/tokenizer_split.h"

namespace stoa::trainer {
namespace {

using testing::HasSubstr;

constexpr std::string_view kTexts[] = {"the other mother bothers the brother été \"quoted\\\" \n\n\ttabs"};

std::string valid() { return train_tokenizer(kTexts, 265).to_json(); }

std::string replaced(const std::string& from, const std::string& to) {
  std::string json = valid();
  const std::size_t at = json.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return json.replace(at, from.size(), to);
}

std::string refusal(const std::string& json) {
  return message_of<DataError>([&] { Tokenizer::parse(json, "t.json"); });
}

TEST(TokenizerJson, ReadsWhatItWrote) {
  const Tokenizer original = train_tokenizer(kTexts, 265);
  const Tokenizer again = Tokenizer::parse(original.to_json(), "t.json");
  EXPECT_EQ(again.to_json(), original.to_json());
  EXPECT_EQ(again.fingerprint(), original.fingerprint());
  EXPECT_EQ(again.vocabulary_size(), 265);
  EXPECT_EQ(again.end_of_text(), 264);
  EXPECT_EQ(again.encode(kTexts[0]), original.encode(kTexts[0]));
}

TEST(TokenizerJson, FingerprintDiffersWithTheMerges) {
  EXPECT_NE(train_tokenizer(kTexts, 265).fingerprint(), train_tokenizer(kTexts, 266).fingerprint());
}

TEST(TokenizerJson, ReadsMergesInBothNotations) {
  const std::string pairs = replaced("[\"h\", \"e\"]", "[\"h\", \"e\"]");
  const std::string strings = replaced("[\"h\", \"e\"]", "\"h e\"");
  EXPECT_EQ(Tokenizer::parse(pairs, "p").fingerprint(), Tokenizer::parse(strings, "s").fingerprint());
}

TEST(TokenizerJson, ReadsASpecialTokenThatOnlyStandsInAddedTokens) {
  std::string json = valid();
  const std::string entry = ",\n      \"<|endoftext|>\": 264";
  json.erase(json.find(entry), entry.size());
  EXPECT_EQ(Tokenizer::parse(json, "t.json").end_of_text(), 264);
}

TEST(TokenizerJson, KeepsOtherSpecialTokens) {
  const Tokenizer tokenizer = Tokenizer::parse(
      replaced("\"special\": true}", "\"special\": true}, {\"id\": 265, \"content\": \"<pad>\", \"special\": true}"),
      "t.json");
  EXPECT_EQ(tokenizer.vocabulary_size(), 266);
  EXPECT_EQ(tokenizer.decode({{265}}), "<pad>");
  EXPECT_EQ(Tokenizer::parse(tokenizer.to_json(), "again").fingerprint(), tokenizer.fingerprint());
}

TEST(TokenizerJson, NamesAMissingFile) {
  EXPECT_THAT(message_of<DataError>([] { Tokenizer::load("/nowhere/t.json"); }), HasSubstr("/nowhere/t.json: no such"));
}

TEST(TokenizerJson, RefusesWhatIsNoJson) {
  EXPECT_THAT(refusal(""), HasSubstr("t.json: not valid JSON"));
  EXPECT_THAT(refusal(valid() + "x"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("[1e999]"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal(std::string(100, '[')), HasSubstr("nested deeper than 64"));
  EXPECT_THAT(refusal("3"), HasSubstr("expected an object"));
  EXPECT_THAT(refusal("{}"), HasSubstr("is missing"));
}

TEST(TokenizerJson, RefusesStagesThatWouldGiveOtherIds) {
  EXPECT_THAT(refusal(replaced("\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}")),
              HasSubstr("'normalizer' is"));
  EXPECT_THAT(refusal(replaced("\"truncation\": null", "\"truncation\": {}")), HasSubstr("'truncation' is {}"));
  EXPECT_THAT(refusal(replaced("\"add_prefix_space\": false", "\"add_prefix_space\": true")),
              HasSubstr("'add_prefix_space' is true"));
  EXPECT_THAT(refusal(replaced("\"use_regex\": true", "\"use_regex\": false")), HasSubstr("'use_regex' is false"));
  EXPECT_THAT(refusal(replaced("\"type\": \"ByteLevel\"", "\"type\": \"Metaspace\"")),
              HasSubstr("'type' is \"Metaspace\""));
  EXPECT_THAT(refusal(replaced("\"type\": \"BPE\"", "\"type\": \"Unigram\"")), HasSubstr("'type' is \"Unigram\""));
  EXPECT_THAT(refusal(replaced("\"dropout\": null", "\"dropout\": 0.1")), HasSubstr("'dropout' is 0.1"));
  EXPECT_THAT(refusal(replaced("\"ignore_merges\": false", "\"ignore_merges\": 1")), HasSubstr("'ignore_merges' is 1"));
  EXPECT_THAT(refusal(replaced("\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\"")),
              HasSubstr("'end_of_word_suffix'"));
  EXPECT_THAT(refusal(replaced("\"special\": true", "\"special\": 1")), HasSubstr("'special' is 1"));
  EXPECT_THAT(refusal(replaced("\"version\": \"1.0\"", "\"version\": \"2.0\"")), HasSubstr("'version' is \"2.0\""));
}

constexpr std::string_view kLlama3 =
    R"({"type": "Sequence", "pretokenizers": [{"type": "Split", "pattern": {"Regex": "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}, "behavior": "Isolated", "invert": false}, {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]})";
constexpr std::string_view kGpt2Stage =
    R"("pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true})";

std::string llama3() { return replaced(std::string(kGpt2Stage), fmt::format("\"pre_tokenizer\": {}", kLlama3)); }

std::string llama3_with(const std::string& from, const std::string& to) {
  std::string json = llama3();
  const std::size_t at = json.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return json.replace(at, from.size(), to);
}

TEST(TokenizerJson, ReadsAndWritesLlama3Style) {
  const Tokenizer tokenizer = Tokenizer::parse(llama3(), "t.json");
  EXPECT_EQ(tokenizer.to_json(), llama3());
  EXPECT_EQ(tokenizer.pre_tokenizer(), PreTokenizer::kLlama3);
  EXPECT_EQ(Tokenizer::parse(valid(), "t.json").pre_tokenizer(), PreTokenizer::kGpt2);
}

TEST(TokenizerJson, WritesTheStagesThatItRead) {
  const std::string others = replaced("\"post_processor\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false",
                                      "\"post_processor\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true");
  EXPECT_EQ(Tokenizer::parse(others, "t.json").to_json(), others);
}

TEST(TokenizerJson, RefusesOtherSplits) {
  EXPECT_THAT(refusal(llama3_with("{1,3}", "{1,2}")), HasSubstr("only the patterns of GPT-2 and Llama 3 are read"));
  EXPECT_THAT(refusal(llama3_with("\"Isolated\"", "\"Removed\"")), HasSubstr("'behavior' is \"Removed\""));
  EXPECT_THAT(refusal(llama3_with("\"invert\": false", "\"invert\": true")), HasSubstr("'invert' is true"));
  EXPECT_THAT(refusal(llama3_with("\"use_regex\": false", "\"use_regex\": true")), HasSubstr("'use_regex' is true"));
  EXPECT_THAT(refusal(llama3_with("\"type\": \"Split\"", "\"type\": \"Digits\"")),
              HasSubstr("a sequence of Split and ByteLevel is expected"));
  EXPECT_THAT(refusal(llama3_with("\"pretokenizers\": [", "\"pretokenizers\": 3, \"x\": [")), HasSubstr("is no list"));
}

TEST(TokenizerJson, RefusesOtherPostProcessors) {
  const std::string stage = "\"post_processor\": {\"type\": \"ByteLevel\"";
  EXPECT_THAT(refusal(replaced(stage, "\"post_processor\": {\"type\": \"BertProcessing\"")),
              HasSubstr("'post_processor' is {\"type\":\"BertProcessing\""));
  EXPECT_THAT(refusal(replaced(stage, "\"post_processor\": {\"type\": \"TemplateProcessing\"")),
              HasSubstr("is no list"));
  EXPECT_THAT(refusal(replaced(stage,
                               "\"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": "
                               "[{\"SpecialToken\": {\"id\": \"<s>\", \"type_id\": 0}}]")),
              HasSubstr("is no added token"));
}

TEST(TokenizerJson, RefusesAddedTokensThatTheirLibraryWouldNumberOtherwise) {
  EXPECT_THAT(
      refusal(replaced("\"special\": true}", "\"special\": true}, {\"id\": 266, \"content\": \"<pad>\"}")),
      HasSubstr("'<pad>' has id 266, but tokens outside 'vocab' are numbered in their order and this one is 265"));
  EXPECT_THAT(refusal(replaced("\"special\": true}", "\"special\": true}, {\"id\": 265, \"content\": \"\"}")),
              HasSubstr("'content' of an added token is \"\""));
}

TEST(TokenizerJson, RefusesObjectsOfMoreKeysThanAnyTokenizerHas) {
  std::string keys;
  for (int i = 0; i < 4100; ++i) keys += fmt::format("\"key{}\": 0, ", i);
  EXPECT_THAT(refusal("{" + keys + "\"model\": {}}"), HasSubstr("more than 4096 keys"));
}

TEST(TokenizerJson, RefusesAVocabularyThatIsNotOne) {
  EXPECT_THAT(refusal(replaced("\"!\": 0", "\"!\": 1")), HasSubstr("which another one has too"));
  EXPECT_THAT(refusal(replaced("\"!\": 0", "\"!\": 265")), HasSubstr("has id 265, but 265 tokens have ids 0 to 264"));
  EXPECT_THAT(refusal(replaced("\"!\": 0", "\"!\": -1")), HasSubstr("the id of '!' is -1"));
  EXPECT_THAT(refusal(replaced("\"!\": 0", "\"!\": 0.5")), HasSubstr("the id of '!' is 0.5"));
  EXPECT_THAT(refusal(replaced("\"!\": 0", "\"!\": 99999999999999999999")), HasSubstr("the id of '!' is"));
  EXPECT_THAT(refusal(replaced("\"!\": 0", "\"日\": 0")), HasSubstr("token '日' is not of the byte alphabet"));
  EXPECT_THAT(refusal(replaced("\"!\": 0", "\"!!!\": 0")), HasSubstr("no token for byte 33 ('!')"));
  EXPECT_THAT(refusal(replaced("\"special\": true", "\"special\": false")),
              HasSubstr("has no special '<|endoftext|>' or '<|end_of_text|>'"));
  EXPECT_THAT(
      refusal(replaced("\"content\": \"<|endoftext|>\"", "\"content\": \"<eos>\"")),
      HasSubstr("'<eos>' has id 264, but tokens outside 'vocab' are numbered in their order and this one is 265"));
  EXPECT_THAT(refusal(replaced("{\"id\": 264", "{\"id\": 3")),
              HasSubstr("has id 3 in 'added_tokens' and 264 in 'vocab'"));
}

TEST(TokenizerJson, RefusesMergesThatCannotBeApplied) {
  EXPECT_THAT(refusal(replaced("[\"h\", \"e\"]", "[\"z\", \"q\"]")), HasSubstr("'zq' is not in 'vocab'"));
  EXPECT_THAT(refusal(replaced("[\"h\", \"e\"]", "\"he\"")), HasSubstr("but \"a b\" or [\"a\", \"b\"] is expected"));
  EXPECT_THAT(refusal(replaced("[\"h\", \"e\"]", "\"h e e\"")), HasSubstr("is expected"));
  EXPECT_THAT(refusal(replaced("[\"h\", \"e\"]", "[\"h\", \"e\"], [\"h\", \"e\"]")), HasSubstr("again"));
  EXPECT_THAT(refusal(replaced("[\"h\", \"e\"]", "[\"<|endoftext|>\", \"e\"]")),
              HasSubstr("'<|endoftext|>e' is not in 'vocab'"));
}

/// Flags of the second added token, <x> with id 265.
std::vector<std::int32_t> recognised(std::string_view text, const std::string& flags) {
  return Tokenizer::parse(
             replaced("\"special\": true}", "\"special\": true}, {\"id\": 265, \"content\": \"<x>\"" + flags + "}"),
             "t.json")
      .encode(text, AddedTokens::kRecognised);
}

TEST(AddedTokens, AreRecognisedOnlyWhereAsked) {
  const Tokenizer tokenizer = Tokenizer::parse(valid(), "t.json");
  EXPECT_THAT(tokenizer.encode("a<|endoftext|>", AddedTokens::kRecognised), testing::ElementsAre(64, 264));
  EXPECT_GT(tokenizer.encode("a<|endoftext|>").size(), 5U);
}

TEST(AddedTokens, TakeSpacesOnTheSidesThatTheirFlagsSay) {
  using testing::ElementsAre;
  constexpr int kSpace = 220;
  EXPECT_THAT(recognised("! <x> !", ""), ElementsAre(0, kSpace, 265, kSpace, 0));
  EXPECT_THAT(recognised("! <x> !", ", \"lstrip\": true"), ElementsAre(0, 265, kSpace, 0));
  EXPECT_THAT(recognised("!\u3000 <x> \n!", ", \"lstrip\": true, \"rstrip\": true"), ElementsAre(0, 265, 0));
}

TEST(AddedTokens, ThatAreWordsStandBesideNoLetterDigitOrMark) {
  const std::string word = ", \"single_word\": true";
  EXPECT_EQ(recognised("!<x>!", word).size(), 3U);
  EXPECT_EQ(recognised("<x>", word).size(), 1U);
  EXPECT_EQ(recognised("\xFF<x>\xFF", word).size(), 3U);
  for (const std::string_view beside : {"a<x>", "<x>é", "_<x>", "<x>7", "<x>\u0301"})
    EXPECT_GT(recognised(beside, word).size(), 2U) << beside;
}

}  // namespace
}  // namespace stoa::trainer

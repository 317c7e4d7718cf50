/// The tokenizer against Hugging Face's, whose answers stand in hugging_face.json (made by ./regenerate).
#include <gtest/gtest.h>

#include <optional>

#include "stoa/base/durable_file.h"
#include "stoa/base/json.h"
#include "stoa/trainer/data/tokenizer.h"
#include "stoa/trainer/data/tokenizer_split.h"

namespace stoa::trainer {
namespace {

class HuggingFaceGolden : public testing::Test {
 protected:
  static std::filesystem::path folder() { return STOA_GOLDEN_DATA; }

  HuggingFaceGolden() {
    std::string text = read_text_file(folder() / "training.txt");
    while (text.ends_with('\n')) text.pop_back();
    const std::string_view texts[] = {text};
    tokenizer_.emplace(train_tokenizer(texts, json_field<std::int64_t>(golden_, "vocabulary_size", "golden")));
  }

  Json golden_ = parse_json(read_text_file(folder() / "hugging_face.json"), "hugging_face.json");
  std::optional<Tokenizer> tokenizer_;
};

TEST_F(HuggingFaceGolden, TrainsTheSameMergesInTheSameOrder) {
  const Json ours = parse_json(tokenizer_->to_json(), "ours");
  EXPECT_EQ(ours.at("model").at("merges"), golden_.at("merges"));
}

TEST_F(HuggingFaceGolden, GivesTheSameIds) {
  ASSERT_GT(golden_.at("texts").size(), 10U);
  for (const Json& one : golden_.at("texts")) {
    const auto text = json_field<std::string>(one, "text", "golden");
    EXPECT_EQ(tokenizer_->encode(text), json_field<std::vector<std::int32_t>>(one, "ids", "golden")) << text;
  }
}

class HuggingFaceLlama3Golden : public testing::Test {
 protected:
  Json golden_ =
      parse_json(read_text_file(std::filesystem::path(STOA_GOLDEN_DATA) / "hugging_face_llama3.json"), "llama3");
  Tokenizer tokenizer_ = Tokenizer::parse(golden_.at("tokenizer").dump(), "llama3");
};

TEST_F(HuggingFaceLlama3Golden, GivesTheSameIds) {
  ASSERT_GT(golden_.at("texts").size(), 20U);
  for (const Json& one : golden_.at("texts")) {
    const auto text = json_field<std::string>(one, "text", "golden");
    EXPECT_EQ(tokenizer_.encode(text), json_field<std::vector<std::int32_t>>(one, "ids", "golden")) << text;
    EXPECT_EQ(tokenizer_.encode(text, AddedTokens::kRecognised),
              json_field<std::vector<std::int32_t>>(one, "recognised", "golden"))
        << text;
  }
}

TEST_F(HuggingFaceLlama3Golden, WritesWhatItRead) {
  // Unordered: nlohmann's sorted type compares keys, not their order.
  EXPECT_EQ(nlohmann::json::parse(tokenizer_.to_json()), nlohmann::json::parse(golden_.at("tokenizer").dump()));
  EXPECT_EQ(Tokenizer::parse(tokenizer_.to_json(), "again").fingerprint(), tokenizer_.fingerprint());
}

TEST_F(HuggingFaceLlama3Golden, KnowsWhatBeginsAndEndsAText) {
  EXPECT_EQ(tokenizer_.pre_tokenizer(), PreTokenizer::kLlama3);
  EXPECT_EQ(tokenizer_.decode({{tokenizer_.begin_of_text().value(), tokenizer_.end_of_text()}}),
            "<|begin_of_text|><|end_of_text|>");
  EXPECT_EQ(tokenizer_.special_tokens().size(), 4U);
}

}  // namespace
}  // namespace stoa::trainer

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "stoa/base/error.h"
#include "stoa/tests/unit/trainer/data_scratch.h"
#include "stoa/trainer/data/tokenizer.h"
#include "stoa/trainer/data/tokenizer_alphabet.h"
#include "stoa/trainer/data/tokenizer_split.h"

namespace stoa::trainer {
namespace {

using testing::HasSubstr;

constexpr std::string_view kTexts[] = {
    "the other mother bothers the brother; the others bother mothers", "aaaa aaaaa aa a banana bandana bananas",
    "2024 2025 2024 20242024 été étés l'été d'été", "\xFF\xFE\xFF\xFE junk \xFF\xFE"};

/// Sennrich et al.'s algorithm 1 as it is written: count all pairs, merge the most frequent everywhere, again.
class TrainingByDefinition {
 public:
  explicit TrainingByDefinition(std::span<const std::string_view> texts) {
    for (const std::uint8_t byte : bytes_in_alphabet_order()) tokens_.emplace_back(1, static_cast<char>(byte));
    for (const std::string_view text : texts)
      for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t length = pre_token_length(PreTokenizer::kGpt2, text, begin);
        std::vector<int> word;
        for (const char c : text.substr(begin, length)) word.push_back(id_of(std::string(1, c)));
        words_.push_back(word);
        begin += length;
      }
  }

  std::vector<std::string> tokens(std::size_t count) {
    while (tokens_.size() < count) merge_most_frequent();
    return tokens_;
  }

 private:
  int id_of(const std::string& token) const {
    return static_cast<int>(std::find(tokens_.begin(), tokens_.end(), token) - tokens_.begin());
  }

  void merge_most_frequent() {
    std::map<std::pair<int, int>, int> counts;
    for (const auto& word : words_)
      for (std::size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
    // The map is sorted: of equal counts the first, smallest pair wins.
    const auto best =
        std::max_element(counts.begin(), counts.end(), [](auto& a, auto& b) { return a.second < b.second; });
    const auto [left, right] = best->first;
    const std::string merged = tokens_[static_cast<std::size_t>(left)] + tokens_[static_cast<std::size_t>(right)];
    const int id = id_of(merged);
    if (id == static_cast<int>(tokens_.size())) tokens_.push_back(merged);
    for (auto& word : words_)
      for (std::size_t i = 0; i + 1 < word.size(); ++i)
        if (word[i] == left && word[i + 1] == right) {
          word[i] = id;
          word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
        }
  }

  std::vector<std::string> tokens_;
  std::vector<std::vector<int>> words_;
};

TEST(TokenizerTraining, FindsTheMergesOfTheDefinition) {
  constexpr std::size_t kSize = 256 + 49;
  const Tokenizer tokenizer = train_tokenizer(kTexts, kSize + 1);
  const std::vector<std::string> expected = TrainingByDefinition(kTexts).tokens(kSize);
  ASSERT_EQ(tokenizer.vocabulary_size(), static_cast<std::int64_t>(kSize + 1));
  for (std::int32_t id = 0; id < static_cast<std::int32_t>(kSize); ++id)
    EXPECT_EQ(tokenizer.decode({{id}}), expected[static_cast<std::size_t>(id)]) << id;
}

TEST(TokenizerTraining, PutsEndOfTextLast) {
  const Tokenizer tokenizer = train_tokenizer(kTexts, 265);
  EXPECT_EQ(tokenizer.vocabulary_size(), 265);
  EXPECT_EQ(tokenizer.end_of_text(), 264);
}

TEST(TokenizerTraining, DoesNotDependOnTheOrderOfTheTexts) {
  const std::string_view reversed[] = {kTexts[3], kTexts[2], kTexts[1], kTexts[0]};
  EXPECT_EQ(train_tokenizer(kTexts, 300).to_json(), train_tokenizer(reversed, 300).to_json());
}

TEST(TokenizerTraining, SaysHowFarAShortTextGoes) {
  const std::string_view texts[] = {"ab ab"};
  EXPECT_EQ(train_tokenizer(texts, 259).vocabulary_size(), 259);
  EXPECT_THAT(
      message_of<DataError>([&] { train_tokenizer(texts, 260); }),
      HasSubstr("the text yields 2 merges, 259 tokens with the 256 bytes and <|endoftext|>; a vocabulary of 260"));
  EXPECT_THAT(message_of<DataError>([&] { train_tokenizer(texts, 256); }), HasSubstr("256 is too small"));
  EXPECT_EQ(train_tokenizer({}, 257).vocabulary_size(), 257);
}

TEST(TokenizerTraining, ReportsAFractionThatRisesToOne) {
  std::vector<double> fractions;
  train_tokenizer(kTexts, 300, [&](double fraction) { fractions.push_back(fraction); });
  EXPECT_TRUE(std::is_sorted(fractions.begin(), fractions.end()));
  EXPECT_GT(fractions.size(), 33U);
  EXPECT_LE(fractions.back(), 1.0);
  EXPECT_GT(fractions.back(), 0.98);
}

}  // namespace
}  // namespace stoa::trainer
